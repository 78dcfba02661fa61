"""The objectives that have a name, and which one a flow is trained by that is told no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.training.objectives.cumulative import CumulativeFit
from pushforward.training.objectives.deep_density import DeepDensity
from pushforward.training.objectives.evidence import ELBO
from pushforward.training.objectives.flow_matching import (
    ConditionalOptimalTransport,
    FlowMatching,
    OptimalTransport,
    Pairing,
    PowerTimes,
    WithinContexts,
)
from pushforward.training.objectives.likelihood import negative_log_likelihood
from pushforward.training.objectives.objective import Objective


def likelihood(flow: Flow) -> Objective:
    """The likelihood of the data."""
    return negative_log_likelihood


def flow_matching(flow: Flow) -> FlowMatching:
    """Flow matching with the optimal-transport pairing that is right for the flow's context."""
    return FlowMatching(pairing=suitable_pairing(flow))


def near_the_data(flow: Flow) -> FlowMatching:
    """Flow matching that looks more at late times: what is narrow beside the whole space is decided there."""
    return FlowMatching(pairing=suitable_pairing(flow), times=PowerTimes(2.0))


def reconstruction(flow: Flow) -> ELBO:
    """The likelihood of the data given their latents, alone: an autoencoder."""
    return ELBO(beta=0.0)


def cumulative_fit(flow: Flow) -> CumulativeFit:
    """The squared error of the distribution function."""
    return CumulativeFit()


def deep_density(flow: Flow) -> DeepDensity:
    """Marginals of the codes, condition numbers, and reconstruction."""
    return DeepDensity()


def suitable_pairing(flow: Flow) -> Pairing:
    """Return the optimal-transport pairing that does not skew the latents of a context."""
    if flow.context is None:
        return OptimalTransport()
    return WithinContexts() if flow.context.discrete else ConditionalOptimalTransport()


ObjectiveName = Literal["likelihood", "flow-matching"]

OBJECTIVES: dict[str, Callable[[Flow], Objective]] = dict(
    zip(get_args(ObjectiveName), (likelihood, flow_matching), strict=True)
)
"""By name."""

OF_MODELS: dict[str, Callable[[Flow], Objective]] = {
    "cdf-network": cumulative_fit,
    "cnf": flow_matching,
    "deep-density": deep_density,
    "sphere-cnf": near_the_data,
    "torus-cnf": flow_matching,
    "vine-autoencoder": reconstruction,
}
"""Of the models that are not trained by likelihood."""


def objective_of_model(model: str | None, flow: Flow) -> Objective:
    """Return what flows of a model, by its name, are trained by; None is one without a name."""
    return OF_MODELS.get(model or "", likelihood)(flow)


def objective_for(flow: Flow, objective: Objective | ObjectiveName | None = None) -> Objective:
    """Return the objective that is told, as one or by its name, or else the one that the flow's model is trained by.

    Raises:
        UsageError: if the name is unknown, or the objective is none of such a flow.

    Example:
        >>> import pushforward as pf
        >>> objective_for(pf.models.maf(features=2)), objective_for(pf.models.cnf(features=2)).pairing
        (NegativeLogLikelihood(log_volume=0.0), OptimalTransport(rows=64))
    """
    if objective is None:
        objective = objective_of_model((getattr(flow, "recipe", None) or {}).get("model"), flow)
    elif isinstance(objective, str):
        if objective not in OBJECTIVES:
            raise UsageError(f"objective expects one of {', '.join(OBJECTIVES)} or a function, got {objective!r}")
        objective = OBJECTIVES[objective](flow)
    check = getattr(objective, "check", None)
    if check is not None:
        if not isinstance(flow, Flow):
            raise UsageError(
                f"{type(objective).__name__} trains flows, got a {type(flow).__name__}: leave objective out"
            )
        check(flow)
    return objective
