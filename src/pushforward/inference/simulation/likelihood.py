"""Neural likelihood estimation: a flow of the observation whose context is the parameters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.distributions.inputs import as_batch
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.flows.flow import Flow
from pushforward.inference.simulation.chains import ChainDiagnostics, chains, tempered
from pushforward.inference.simulation.ensemble import Ensemble, Training
from pushforward.inference.simulation.mode import highest
from pushforward.inference.simulation.prior import Prior
from pushforward.inference.simulation.regression import RegressionResidual
from pushforward.inference.simulation.simulations import Simulations, as_values
from pushforward.inference.simulation.truncation import single
from pushforward.models.options import named_options
from pushforward.models.registry import build
from pushforward.networks.embeddings.standardised import Standardised
from pushforward.parts import model_named
from pushforward.training.objectives import Objective
from pushforward.training.objectives.defaults import objective_for

HIDDEN = 64
"""The widths of the default flow's hidden layers."""

# Chains long enough for R-hat to tell something, whatever is asked for.
_CHAINS, _LEAST_DRAWS, _BURN, _THIN = 400, 40, 50, 10
_LARGEST_R_HAT = 1.1


class NLE:
    r"""Neural likelihood estimation: a flow ``q(x | theta)`` fitted to simulations; the prior may change afterwards.

    It minimises ``-mean log q(x_i | theta_i)``; simulations may come from any distribution of parameters. The posterior
    ``p(theta) q(x | theta)`` is sampled by chains. Observations are vectors without missing values.

    Args:
        prior: of ``torch.distributions``, or a list of them, one parameter (or vector) after the other.
        model: the name of a vector model, by default ``"nsf"``.
        options: of the model, ``hidden=`` and ``layers=`` for instance.

    Raises:
        UsageError: if the prior or an option does not fit.

    Source: Papamakarios, Sterratt, Murray (2019), arXiv:1805.07226.

    Example:
        >>> from torch.distributions import Normal
        >>> prior = Normal(torch.zeros(2), 1.0)
        >>> theta = prior.sample((200,))
        >>> inference = NLE(prior, hidden=16, layers=2).append_simulations(theta, theta + 0.5 * torch.randn(200, 2))
        >>> posterior = inference.fit(members=1, max_steps=20, progress=False).posterior(torch.zeros(2))
        >>> posterior.log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(self, prior: Any, model: str | None = None, **options: Any) -> None:
        self.prior = Prior.of(prior)
        self.simulations = Simulations(self.prior.features)
        self._model = model or "nsf"
        self._options = options if model else {"hidden": HIDDEN, **options}
        named_options(self._model, model_named(self._model), (), {"features": 1, "context": 1, **options})
        self._ensemble: Ensemble | None = None

    def append_simulations(self, theta: Any, x: Any) -> NLE:
        """Add simulations: parameters ``(n, D)`` of any distribution, observations ``(n, features)``.

        Raises:
            DataError: if they do not fit each other or those before, or observations are no finite vectors.
        """
        values = as_values(x, "observations")
        if values.dim() > 2 or not bool(torch.isfinite(values).all()):
            raise DataError(
                f"NLE expects observations that are finite vectors (n, features), got shape {tuple(values.shape)} or "
                f"values that are missing: summarise them, or use NPE with an embedding"
            )
        self.simulations.append(theta, values)
        return self

    def fit(
        self,
        *,
        members: int = 1,
        validation: float = 0.1,
        max_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        max_time: float | None = None,
        seed: int | None = None,
        progress: bool = True,
    ) -> NLE:
        """Train flows on all simulations, anew; see `Training` for the options.

        Raises:
            UsageError: without simulations, or too few.
            TrainingError: if a loss is no longer finite.

        Warns:
            RuntimeWarning: if the validation loss still fell when a training ended.
        """
        training = Training(members, validation, max_steps, batch_size, learning_rate, max_time, seed, progress)
        self._ensemble = training.ensemble(self._made, self.simulations.x, self.simulations.theta)
        return self

    def posterior(self, x: Any, prior: Any = None) -> LikelihoodPosterior:
        """Return the posterior of an observation, or of a batch of them, under the prior or another one.

        Raises:
            UsageError: before `fit`, or if the prior does not fit.
            DataError: if the observation is none of the simulator's.
        """
        if self._ensemble is None:
            raise UsageError(
                "a posterior expects a fitted estimator: call append_simulations(theta, x) and fit() first"
            )
        x = as_values(x, "observation")
        event_shape = self._ensemble.flows[0].event_shape
        if x.shape[-1:] != event_shape or not bool(torch.isfinite(x).all()):
            raise DataError(
                f"an observation expects finite numbers of shape {tuple(event_shape)} behind any batch dimensions, got "
                f"{tuple(x.shape)}"
            )
        own = self.prior if prior is None else Prior.of(prior)
        if own.features != self.prior.features:
            raise UsageError(f"another prior is one of {self.prior.features} parameters too, got {own.features}")
        return LikelihoodPosterior(self._ensemble, own, x)

    def proposal(self, x: Any) -> Prior | LikelihoodPosterior:
        """Return what to simulate next for an observation: its posterior; the prior before `fit`.

        Raises:
            UsageError: of several observations.
        """
        return self.prior if self._ensemble is None else single(self.posterior(x))

    def _made(self, x: Tensor, theta: Tensor) -> tuple[Flow, Objective]:
        features = theta.shape[1]
        inner = build(self._model, features=x.shape[1], context=features, **self._options)
        # Set now, since the regression sees parameters as the other parts do.
        standardised = Standardised((features,))
        standardised.initialise(theta)
        first = RegressionResidual.fitted(x, standardised(theta))
        flow = Flow([first, inner.transform], inner.base, context=features, embedding=standardised)
        return flow, objective_for(inner)


class LikelihoodPosterior(torch.distributions.Distribution):
    """The posterior of an observation by a likelihood: densities up to a constant, samples by chains.

    Made by ``NLE.posterior(x)``. For a batch of observations samples are ``sample_shape + batch_shape + (D,)``.

    Attributes:
        diagnostics: of the chains of the last ``sample``, None before.

    Raises:
        ShapeError: by ``log_prob``, for parameters that are not vectors of the prior's length.

    Example:
        >>> from torch.distributions import Uniform
        >>> prior = Uniform(torch.zeros(1), torch.ones(1))
        >>> theta = prior.sample((100,))
        >>> inference = NLE(prior, hidden=8, layers=1).append_simulations(theta, theta + torch.randn(100, 1))
        >>> posterior = inference.fit(max_steps=3, progress=False).posterior([0.5])
        >>> posterior.log_prob(torch.tensor([[0.5], [1.5]])).isfinite()
        tensor([ True, False])
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, ensemble: Ensemble, prior: Prior, x: Tensor) -> None:
        self._ensemble, self._prior, self._x = ensemble, prior, x
        self._unbounded = prior.unbounded()
        self.diagnostics: ChainDiagnostics | None = None
        super().__init__(x.shape[:-1], torch.Size([prior.features]), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The prior's support."""
        return self._unbounded.domain.constraint

    def log_prob(self, value: Tensor) -> Tensor:
        """Return ``log p(theta) + log q(x | theta)``: the log-density up to a constant, which is not known.

        Raises:
            ShapeError: if the parameters are not vectors of the prior's length.
        """
        value = torch.as_tensor(value)
        if value.shape[-1:] != self.event_shape:
            raise ShapeError(f"a posterior expects parameters (..., {self._prior.features}), got {tuple(value.shape)}")
        return self._prior.log_prob(value) + self._likelihood(value)

    @torch.no_grad()
    def sample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:  # type: ignore[override]
        """Draw parameters, ``sample_shape + batch_shape + (D,)``, by chains; see ``diagnostics``.

        Warns:
            RuntimeWarning: if the chains do not agree, R-hat above 1.1.
        """
        shape = as_batch(sample_shape)
        draws = max(_LEAST_DRAWS, -(-shape.numel() // _CHAINS))
        start = self._unbounded.encode(self._prior.sample((_CHAINS, self.batch_shape.numel())))
        particles = tempered(start, self._log_prior_of_latents, self._log_likelihood_of_latents)
        z, self.diagnostics = chains(particles, self._log_density_of_latents, _BURN, draws, _THIN)
        if self.diagnostics.r_hat > _LARGEST_R_HAT:
            warnings.warn(
                f"the posterior's chains do not agree (R-hat {self.diagnostics.r_hat:.2f}): do not believe its samples",
                RuntimeWarning,
                stacklevel=2,
            )
        theta = self._unbounded.decode(z).flatten(0, 1)
        order = torch.randperm(len(theta))[: shape.numel()]
        return theta[order].reshape(*shape, *self.batch_shape, *self.event_shape)

    def map(self) -> Tensor:
        """Return the most probable parameters, ``batch_shape + (D,)``."""
        return highest(self.log_prob, self.sample((1000,)), self._unbounded)

    def _likelihood(self, theta: Tensor) -> Tensor:
        return self._ensemble.log_prob(self._x, theta)

    def _log_prior_of_latents(self, z: Tensor) -> Tensor:
        theta, log_slope = self._unbounded.inverse(z)
        return self._prior.log_prob(theta) + log_slope

    def _log_likelihood_of_latents(self, z: Tensor) -> Tensor:
        theta = self._unbounded.decode(z)
        value = self._likelihood(theta.reshape(len(z), *self.batch_shape, -1)).reshape(z.shape[:-1])
        return torch.nan_to_num(value, nan=-1e30, neginf=-1e30)

    def _log_density_of_latents(self, z: Tensor) -> Tensor:
        return self._log_prior_of_latents(z) + self._log_likelihood_of_latents(z)
