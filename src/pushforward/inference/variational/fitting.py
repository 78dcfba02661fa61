"""Fitting a flow to a density that is known up to a constant."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.flows.expected import require_flow
from pushforward.flows.flow import Flow
from pushforward.inference.variational.coordinates import Coordinates
from pushforward.inference.variational.declared import Declared
from pushforward.inference.variational.density import Tempered, UnconstrainedDensity, coordinates_for
from pushforward.inference.variational.divergences import Divergence, LogDensity, reverse_divergence
from pushforward.inference.variational.plan import Plan
from pushforward.inference.variational.posterior import VariationalPosterior, assess
from pushforward.scalar.arguments import check_counts
from pushforward.seeds import check_seed
from pushforward.training.compiling import Compile, Compiled, compiles
from pushforward.training.gradients import clip_, scaled_norm
from pushforward.training.schedules import cosine
from pushforward.training.seeding import apart
from pushforward.training.stopping import Limits
from pushforward.transforms import Transform

FEWEST_DRAWS = 100
"""Fewer samples say nothing of a fit."""

LARGEST_GRADIENT = 10.0
"""Gradients are shortened to this length."""


@apart
def fit_posterior(
    log_density: Any,
    flow: Flow,
    *,
    parameters: Mapping[str, Declared] | Declared | None = None,
    divergence: Divergence | None = None,
    steps: int = 1000,
    max_time: float | None = None,
    batch_size: int = 256,
    learning_rate: float = 5e-3,
    annealing: float = 0.0,
    start: Any = None,
    compile: Compile = "auto",
    draws: int = 10_000,
    seed: int | None = None,
) -> VariationalPosterior:
    r"""Fit a flow to a posterior that is known up to a constant, ``p(theta) = f(theta) / Z``, without any data rows.

    The flow is trained in place on its own samples by Adam, at a rate that falls along a cosine. Afterwards it is
    weighed: the ELBO, ``log Z``, the effective sample size and Pareto-k come with the posterior.

    Args:
        log_density: ``log f`` up to a constant, in nats, as a function of a batch of parameters that returns one number
            for each; or a distribution.
        flow: of vectors of the reals, one number for each free dimension of the parameters.
        parameters: what the parameters are: a mapping of names to spaces or constraints of ``torch.distributions``,
            with which ``log_density`` is given a dictionary of tensors; or one of these, for a single tensor. A
            constraint of more than one number is a pair with its shape, ``(constraints.simplex, (3,))``. Log-densities
            are of the parameters themselves: the Jacobian is seen to. By default the flow's own events.
        divergence: what is minimised, `StickingTheLanding`, `ReverseKL`, `AlphaDivergence` or `ForwardKL`; by default
            the reverse divergence, by path gradients where the flow is exact and has its latents in one pass.
        steps: how many steps of the optimiser.
        max_time: seconds after which the fit ends, if that is sooner, though not before its first step.
        batch_size: samples of the flow in each step.
        learning_rate: at the start.
        annealing: the share of the steps in which the inverse temperature of ``f`` rises, from 0.01 to 1: for
            posteriors of several modes.
        start: parameters about where the posterior is, draws of the prior say, to standardise by: for flows that begin
            with a standardisation, as the models do, and posteriors far from 0 or of another scale than 1.
        compile: compile the flow while it is trained; by default where the steps ahead surely pay for it.
        draws: samples of the flow by which it is judged.
        seed: of the draws, apart from the global random state; None lets that one go on.

    Returns:
        The posterior; it warns where Pareto-k is above 0.7, and where samples lie at the edge of the flow's splines.

    Raises:
        UsageError: an option is wrong, the parameters do not fit the flow, or ``log_density`` has no gradients.
        ShapeError: ``log_density`` does not return one number for each point.
        DataError: it returns NaN or plus infinity, or ``start`` lies outside of the parameters' sets.
        TrainingError: the loss or its gradient is not finite; the flow keeps its last good weights.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770; Roeder, Wu, Duvenaud (2017), arXiv:1703.09194.

    Example:
        >>> import pushforward as pf
        >>> from torch.distributions import Gamma, constraints
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (1,))], pf.distributions.StandardNormal((1,)))
        >>> posterior = fit_posterior(
        ...     lambda rate: Gamma(5.0, 2.0).log_prob(rate), flow, parameters=constraints.positive, steps=100, seed=0
        ... )
        >>> abs(posterior.log_normaliser.value) < 0.1, posterior.sample(4).shape
        (True, torch.Size([4]))
    """
    _check_trainable(flow)
    coordinates = coordinates_for("fit_posterior", flow, parameters)
    divergence = reverse_divergence(flow) if divergence is None else _as_divergence(divergence)
    plan = Plan(Limits(steps, max_time, None), batch_size, learning_rate, annealing)
    check_counts("fit_posterior", least=FEWEST_DRAWS, draws=draws)
    density = UnconstrainedDensity(log_density, coordinates)
    if seed is not None:
        torch.manual_seed(check_seed("seed", seed))
    if start is not None:
        flow.initialise(_start(coordinates, start))
    began = time.monotonic()
    _set_training(flow)
    try:
        history = _train(flow, density, divergence, plan, compile)
    finally:
        flow.eval()
    return assess(flow, density, draws, history, time.monotonic() - began)


@dataclass(frozen=True)
class OfSamples:
    """A divergence as an objective of batches, of which it takes the number of rows alone."""

    divergence: Divergence
    log_density: LogDensity

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.divergence(flow, self.log_density, len(x))


def _as_divergence(divergence: Any) -> Divergence:
    if isinstance(divergence, type) or not callable(divergence):
        raise UsageError(f"divergence expects one such as ReverseKL() or AlphaDivergence(0.5), got {divergence!r}")
    return divergence  # type: ignore[no-any-return]


def _check_trainable(flow: Flow) -> None:
    require_flow("fit_posterior", flow)
    if flow.accuracy is Accuracy.ESTIMATE or not flow.reparametrised:
        raise UsageError(
            "fit_posterior expects a flow whose samples carry gradients and whose log_prob is exact or a bound"
        )
    if not any(weight.requires_grad for weight in flow.parameters()):
        raise UsageError("fit_posterior expects a flow with parameters to train, and this one has none")


def _start(coordinates: Coordinates, start: Any) -> Tensor:
    """The real numbers of parameters to start from, which have to lie in their sets."""
    u, inside = coordinates.unconstrain(start), coordinates.contains(start)
    if not bool(inside.all()):
        raise DataError(
            f"start expects parameters that lie in their sets, got {int((~inside).sum())} of {inside.numel()} outside"
        )
    return u


def _set_training(flow: Flow) -> None:
    """Training mode, but for what takes statistics of a batch of data there: the samples of such layers come by the
    statistics that they keep, and their density has to be that of the same map."""
    flow.train()
    for part in flow.modules():
        if isinstance(part, Transform) and part.uses_batch:
            part.eval()


@torch.enable_grad()
def _train(
    flow: Flow, density: UnconstrainedDensity, divergence: Divergence, plan: Plan, compile: Compile
) -> list[float]:
    """Minimise the divergence; return the loss of each step."""
    weights = [weight for weight in flow.parameters() if weight.requires_grad]
    device = weights[0].device
    optimiser = torch.optim.Adam(weights, plan.learning_rate, fused=device.type in ("cpu", "cuda"))
    compiled = _compiled(flow, OfSamples(divergence, density), plan, compile, device)
    history: list[float] = []
    began = time.monotonic()
    try:
        while (done := plan.limits.share_done(len(history), time.monotonic() - began)) < 1 or not history:
            optimiser.param_groups[0]["lr"] = plan.learning_rate * cosine(done)
            optimiser.zero_grad()
            loss = divergence(flow, Tempered(density, plan.inverse_temperature(done)), plan.batch_size)
            # Of the flow's weights alone: those of a network in the log-density are not ours to change.
            loss.backward(inputs=weights)
            _shorten([weight.grad for weight in weights if weight.grad is not None], loss, len(history) + 1)
            optimiser.step()
            history.append(loss.item())
    finally:
        if compiled is not None:
            compiled.release()
    return history


def _compiled(flow: Flow, objective: OfSamples, plan: Plan, compile: Compile, device: torch.device) -> Compiled | None:
    """The flow compiled for the length of the fit, None where that does not pay."""
    if not compiles(compile, flow, plan.batch_size, plan.limits, device):
        return None
    rows = torch.arange(plan.batch_size)
    return Compiled(flow, objective, (torch.zeros(plan.batch_size, *flow.event_shape), None, rows), device)


def _shorten(gradients: list[Tensor], loss: Tensor, step: int) -> None:
    """Limit the length of the gradients, which has to be finite."""
    norm = scaled_norm(gradients)
    if not (math.isfinite(norm) and math.isfinite(loss.item())):
        raise TrainingError(
            f"the loss or its gradient is not finite at step {step}, where the loss is {loss.item():g}: log_density "
            f"may be minus infinity or without a finite slope at samples of the flow, so declare bounded parameters by "
            f"parameters=, or try a lower learning_rate; the flow keeps its last good weights"
        )
    clip_(gradients, norm, LARGEST_GRADIENT)
