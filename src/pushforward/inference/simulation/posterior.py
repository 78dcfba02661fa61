"""Neural posterior estimation: a flow of the parameters whose context is the observation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import constraints

from pushforward.distributions.inputs import as_batch
from pushforward.errors import ShapeError, UsageError, first_line
from pushforward.flows.flow import Flow
from pushforward.inference.simulation.amortised import AmortisedPosterior
from pushforward.inference.simulation.default import default_flow
from pushforward.inference.simulation.ensemble import Ensemble, Training
from pushforward.inference.simulation.mode import highest
from pushforward.inference.simulation.observations import Observations
from pushforward.inference.simulation.prior import Prior
from pushforward.inference.simulation.regression import MOST_NUMBERS, RegressionResidual
from pushforward.inference.simulation.simulations import Simulations, as_values
from pushforward.inference.simulation.truncation import TruncatedPrior, single
from pushforward.kernels.modes import evaluating
from pushforward.models.options import check_options, named_options
from pushforward.models.registry import build
from pushforward.parts import model_named
from pushforward.training.objectives import Objective
from pushforward.training.objectives.defaults import objective_for
from pushforward.transforms import Transform

MOMENTS = 4096
"""How many samples moments and modes are found from."""

Embedding = nn.Module | Callable[[tuple[int, ...], int], nn.Module]
"""A network of observations, or what makes one for ``(shape, indicators)``: `SetSummary` and the like."""


class NPE:
    r"""Neural posterior estimation: a flow ``q(theta | x)`` fitted to simulations, for any observation at once.

    It minimises ``-mean log q(theta_i | x_i)`` over simulations ``theta_i ~ p(theta)``, ``x_i ~ p(x | theta_i)``. The
    flow ends in a bijection onto the prior's support, so all of its mass is inside: samples are never rejected, and
    ``log_prob`` needs no correction. Observations are standardised, missing values (NaN) filled in and marked; see
    `Observations`.

    Args:
        prior: of ``torch.distributions``, or a list of them, one parameter (or vector) after the other.
        model: the name of a vector model; by default ``"nsf-coupling"``, of a single parameter ``"nsf"``. ``"cnf"`` is
            flow-matching posterior estimation (Dax et al. 2023, arXiv:2305.17161).
        embedding: a network that makes a vector of an observation and is trained with the flow; a class such as
            `SetSummary`, `SeriesSummary` or `ImageSummary`, called as ``embedding(shape, indicators)``, or a module.
            By default observations are taken as vectors.
        options: of the model, ``hidden=`` and ``layers=`` for instance.

    Raises:
        UsageError: if the prior or an option does not fit.

    Source: Papamakarios, Murray (2016), arXiv:1605.06376; Greenberg, Nonnenmacher, Macke (2019), arXiv:1905.07488.

    Example:
        >>> from torch.distributions import Uniform
        >>> prior = Uniform(torch.zeros(2), torch.ones(2))
        >>> theta = prior.sample((200,))
        >>> inference = NPE(prior, hidden=16, layers=2).append_simulations(theta, theta + 0.1 * torch.randn(200, 2))
        >>> posterior = inference.fit(members=1, max_steps=20, progress=False).posterior(torch.tensor([0.2, 0.9]))
        >>> samples = posterior.sample((1000,))
        >>> bool(((samples > 0) & (samples < 1)).all()), posterior.log_prob(samples).shape
        (True, torch.Size([1000]))
    """

    def __init__(
        self, prior: Any, model: str | None = None, embedding: Embedding | None = None, **options: Any
    ) -> None:
        self.prior = Prior.of(prior)
        self.simulations = Simulations(self.prior.features)
        recipe = default_flow if model is None else model_named(model)
        named_options(model or "NPE", recipe, (), {"features": self.prior.features, "context": 1, **options})
        self._model, self._options = model, options
        if model is None:
            # Before anything is simulated; other models check their own.
            known = named_options("NPE", default_flow, [self.prior.features, 1], options)
            check_options("NPE", default_flow, known, {})
        self._embedding = embedding
        self._observations: Observations | None = None
        self._ensemble: Ensemble | None = None

    def append_simulations(self, theta: Any, x: Any) -> NPE:
        """Add simulations: parameters ``(n, D)`` of the prior (or of a `proposal`), observations ``(n, ...)``.

        Raises:
            DataError: if they do not fit each other, the prior or those before.
        """
        self.simulations.append(theta, x)
        return self

    def fit(
        self,
        *,
        members: int | None = None,
        validation: float = 0.1,
        max_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        max_time: float | None = None,
        seed: int | None = None,
        progress: bool = True,
    ) -> NPE:
        """Train flows on all simulations, anew; see `Training` for the options.

        Raises:
            UsageError: without simulations, or too few.
            DataError: if parameters lie outside of the prior's support, or observations are infinite.
            TrainingError: if a loss is no longer finite.

        Warns:
            RuntimeWarning: if the validation loss still fell when a training ended.
        """
        training = Training(members, validation, max_steps, batch_size, learning_rate, max_time, seed, progress)
        observations = Observations.of(self.simulations.x)
        seen = observations(self.simulations.x)
        if self._embedding is None:
            seen = seen.flatten(1)
        self._ensemble = training.ensemble(partial(self._made, observations), self.simulations.theta, seen)
        self._observations = observations
        return self

    def posterior(self, x: Any) -> FlowPosterior:
        """Return the posterior of an observation, or of a batch of them.

        Raises:
            UsageError: before `fit`.
            ShapeError, DataError: if the observation is none of the simulator's.
        """
        if self._ensemble is None or self._observations is None:
            raise UsageError(
                "a posterior expects a fitted estimator: call append_simulations(theta, x) and fit() first"
            )
        seen = self._observations(as_values(x, "observation"))
        dims = len(self._observations.shape)
        if self._embedding is None:
            seen, dims = seen.flatten(-dims), 1
        return FlowPosterior(self._ensemble, self.prior, seen, seen.shape[: seen.dim() - dims])

    def amortised(self) -> AmortisedPosterior:
        """Return ``q(theta | x)`` as one distribution whose context is the observation, to save or to test.

        Raises:
            UsageError: before `fit`.
        """
        if self._ensemble is None or self._observations is None:
            raise UsageError("amortised expects a fitted estimator: call append_simulations(theta, x) and fit() first")
        return AmortisedPosterior(self._observations, self._ensemble.flows)

    def proposal(self, x: Any) -> Prior | TruncatedPrior:
        """Return what to simulate next for an observation: the prior where the posterior has its mass (Deistler et al.
        2022, arXiv:2210.04815); all of the prior before `fit`.

        Raises:
            UsageError: of several observations.
        """
        return self.prior if self._ensemble is None else TruncatedPrior(self.prior, single(self.posterior(x)))

    def _made(self, observations: Observations, theta: Tensor, seen: Tensor) -> tuple[Flow, Objective]:
        network = self._network(observations)
        taken = math.prod(observations.seen_shape) if network is None else _width(network, observations.seen_shape)
        shape = taken if network is None else observations.seen_shape
        first = self._first(theta, seen if network is None else None)
        if self._model is None:
            inner = default_flow(self.prior.features, taken, **self._options)
        else:
            inner = build(self._model, features=self.prior.features, context=taken, **self._options)
        flow = Flow([*first, inner.transform], inner.base, context=shape, embedding=network)
        return flow, objective_for(inner)

    def _first(self, theta: Tensor, seen: Tensor | None) -> list[Transform]:
        """What parameters go through before the flow proper: the bounds, and the regression on what is seen."""
        unbounded = self.prior.unbounded()
        latents = unbounded.encode(theta)
        regressed = latents[:, :0] if seen is None or seen.shape[1] > MOST_NUMBERS else seen
        residual = RegressionResidual.fitted(latents, regressed)
        return [unbounded, residual] if self.prior.bounded else [residual]

    def _network(self, observations: Observations) -> nn.Module | None:
        if self._embedding is None:
            return None
        if isinstance(self._embedding, nn.Module):
            # Each member trains its own.
            return copy.deepcopy(self._embedding)
        if not callable(self._embedding):
            raise UsageError(f"embedding expects a module or a class such as SetSummary, got {self._embedding!r}")
        return self._embedding(tuple(observations.seen_shape), observations.indicators)


class FlowPosterior(torch.distributions.Distribution):
    """The posterior of an observation by flows: exact samples and densities of what was learned.

    Made by ``NPE.posterior(x)``. For a batch of observations samples are ``sample_shape + batch_shape + (D,)``.

    Raises:
        ShapeError: by ``log_prob``, for parameters that are not vectors of the prior's length.

    Example:
        >>> from torch.distributions import Uniform
        >>> prior = Uniform(torch.zeros(2), torch.ones(2))
        >>> theta = prior.sample((100,))
        >>> inference = NPE(prior, hidden=8, layers=1).append_simulations(theta, theta + torch.randn(100, 2))
        >>> posterior = inference.fit(members=1, max_steps=3, progress=False).posterior([0.5, 0.5])
        >>> posterior.log_prob(torch.tensor([[0.5, 0.5], [0.5, 1.5]])).isfinite()
        tensor([ True, False])
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, ensemble: Ensemble, prior: Prior, seen: Tensor, batch_shape: Sequence[int]) -> None:
        self._ensemble, self._prior, self._seen = ensemble, prior, seen
        super().__init__(torch.Size(batch_shape), torch.Size([prior.features]), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The prior's support."""
        return self._ensemble.flows[0].support.constraint

    def sample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:  # type: ignore[override]
        """Draw parameters, ``sample_shape + batch_shape + (D,)``, all of them in the prior's support."""
        shape = as_batch(sample_shape)
        with torch.no_grad():
            draws = self._ensemble.sample(math.prod(shape), self._seen)
        return draws.reshape(*shape, *self.batch_shape, *self.event_shape)

    def log_prob(self, value: Any) -> Tensor:
        """Return the normalised log-density of parameters, ``-inf`` outside of the prior's support.

        Raises:
            ShapeError: if they are not vectors of the prior's length.
        """
        value = value if isinstance(value, Tensor) else as_values(value, "parameters")
        if value.shape[-1:] != self.event_shape:
            raise ShapeError(f"a posterior expects parameters (..., {self._prior.features}), got {tuple(value.shape)}")
        return self._ensemble.log_prob(value, self._seen)

    def map(self) -> Tensor:
        """Return the most probable parameters, ``batch_shape + (D,)``."""
        return highest(self.log_prob, self.sample((MOMENTS,)), self._prior.unbounded())

    @property
    def mean(self) -> Tensor:
        """The mean, of 4096 samples."""
        return self.sample((MOMENTS,)).mean(0)

    @property
    def variance(self) -> Tensor:
        """The variance, of 4096 samples."""
        return self.sample((MOMENTS,)).var(0)


def _width(network: nn.Module, shape: Sequence[int]) -> int:
    """How many features a network makes of an observation."""
    with torch.no_grad(), evaluating(network):
        try:
            features = network(torch.zeros(2, *shape))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise UsageError(
                f"the embedding cannot take observations of shape {tuple(shape)}: {first_line(error)}"
            ) from error
    if features.dim() != 2:
        raise UsageError(f"the embedding must give vectors (batch, features), got {tuple(features.shape)}")
    return features.shape[1]
