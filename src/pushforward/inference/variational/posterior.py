"""A posterior as a flow that was fitted to it, with what its importance weights say of the fit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward.diagnostics.importance import Estimate, log_normaliser, scaled_weights
from pushforward.diagnostics.pareto import RELIABLE, pareto_shape, smoothed_weights
from pushforward.flows.flow import Flow
from pushforward.inference.variational.density import UnconstrainedDensity
from pushforward.inference.variational.reach import warn_of_edges
from pushforward.scalar.arguments import check_counts

AT_ONCE = 5000
"""How many samples are weighed together, which bounds the memory."""


@dataclass(frozen=True)
class VariationalPosterior:
    """A flow fitted to a posterior; samples are of the constrained parameters.

    Attributes:
        flow: over the parameters' coordinates of the reals; over the parameters themselves where none are declared.
        density: what it was fitted to, on the same coordinates.
        elbo: ``E_q [log f - log q]`` in nats with its standard error, a lower bound on ``log Z``.
        log_normaliser: ``log Z`` in nats by importance sampling, with its standard error.
        effective_sample_size: what the weighted draws are worth of the posterior's own, with its standard error.
        pareto_shape: Pareto-k of the weights: above 0.7 neither they nor ``log_normaliser`` are to be relied on.
        draws: how many samples these are estimated from.
        history: the loss of each step.
        seconds: how long the fit took.

    Example:
        >>> import pushforward as pf
        >>> from pushforward.inference import fit_posterior
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> posterior = fit_posterior(lambda u: -0.5 * u.square().sum(-1), flow, steps=1, seed=0)
        >>> abs(posterior.log_normaliser.value - math.log(2 * math.pi)) < 0.1, posterior.sample(4).shape
        (True, torch.Size([4, 2]))
    """

    flow: Flow = field(repr=False)
    density: UnconstrainedDensity = field(repr=False)
    elbo: Estimate
    log_normaliser: Estimate
    effective_sample_size: Estimate
    pareto_shape: float
    draws: int
    history: list[float] = field(repr=False)
    seconds: float

    def sample(self, sample_shape: int | Sequence[int] = (), generator: torch.Generator | None = None) -> Any:
        """Draw parameters from the flow: a tensor, or a dictionary of tensors where they have names."""
        with torch.no_grad():
            return self.density.coordinates.constrain(self.flow.sample(sample_shape, generator=generator))[0]

    def log_prob(self, parameters: Any) -> Tensor:
        """Return the flow's log-density of parameters, ``log q(u) - log |det dtheta/du|``, in nats; ``-inf`` outside of
        their sets, and at ends of these that no real number leads to. Batches of named ones broadcast.

        Raises:
            UsageError: if they are not named as declared.
            ShapeError: if they are not of the shapes that are declared.
        """
        coordinates = self.density.coordinates
        u = coordinates.unconstrain(parameters)
        inside = coordinates.contains(parameters)
        inside = inside & u.isfinite().reshape(*inside.shape, u.shape[inside.dim() :].numel()).all(-1)
        u = torch.where(inside.reshape(*inside.shape, *[1] * len(self.flow.event_shape)), u, 0.0)
        return torch.where(inside, self.flow.log_prob(u) - coordinates.constrain(u)[1], -torch.inf)

    def weighted_sample(self, count: int, generator: torch.Generator | None = None) -> tuple[Any, Tensor]:
        """Draw parameters with Pareto-smoothed importance weights that sum to 1: estimates by them are of the posterior
        itself, as far as ``pareto_shape`` allows.

        Raises:
            UsageError: if ``count`` is not a whole number of at least 1.
        """
        check_counts("weighted_sample", count=count)
        u, log_weights = weigh(self.flow, self.density, count, generator)
        return self.density.coordinates.constrain(u)[0], smoothed_weights(log_weights).to(u.dtype)


def assess(
    flow: Flow, density: UnconstrainedDensity, draws: int, history: list[float], seconds: float
) -> VariationalPosterior:
    """Return the posterior of a fitted flow, judged by fresh draws; warn where Pareto-k is above 0.7 or the
    draws end where the flow's splines do."""
    samples, log_weights = weigh(flow, density, draws)
    warn_of_edges(flow, samples)
    shape = pareto_shape(log_weights)
    if shape > RELIABLE:
        warnings.warn(
            f"Pareto-k of the importance weights is {shape:.2f}, above {RELIABLE}: the flow misses a part of the "
            f"posterior, and log Z and weighted samples are not to be relied on; take more steps, a richer flow, "
            f"annealing=, start= or a divergence that covers more, such as AlphaDivergence(0.5)",
            UserWarning,
            stacklevel=3,
        )
    return VariationalPosterior(
        flow=flow,
        density=density,
        elbo=mean_with_error(log_weights),
        log_normaliser=log_normaliser(log_weights),
        effective_sample_size=effective_sample_size_with_error(log_weights),
        pareto_shape=shape,
        draws=draws,
        history=history,
        seconds=seconds,
    )


@torch.no_grad()
def weigh(
    flow: Flow, density: UnconstrainedDensity, count: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw samples of a flow with their log-weights, in bounded memory."""
    sizes = [min(AT_ONCE, count - begin) for begin in range(0, count, AT_ONCE)]
    pairs = [flow.log_weight(density, size, generator=generator) for size in sizes]
    return torch.cat([u for u, _ in pairs]), torch.cat([log_weight for _, log_weight in pairs])


def mean_with_error(values: Tensor) -> Estimate:
    """The mean and its standard error.

    Example:
        >>> mean_with_error(torch.tensor([1.0, 3.0]))
        Estimate(value=2.0, error=1.0)
    """
    values = values.double()
    return Estimate(values.mean().item(), (values.std() / math.sqrt(len(values))).item())


def effective_sample_size_with_error(log_weights: Tensor) -> Estimate:
    r"""Kish's effective sample size ``n m_1^2 / m_2`` of the weights' moments, with its standard error by the delta
    method, ``n_eff std(2 w / m_1 - w^2 / m_2) / sqrt(n)``.

    Example:
        >>> effective_sample_size_with_error(torch.zeros(100))
        Estimate(value=100.0, error=0.0)
    """
    weights, _ = scaled_weights(log_weights)
    first, second = weights.mean(), weights.square().mean()
    size = len(weights) * first.square() / second
    spread = (2 * weights / first - weights.square() / second).std()
    return Estimate(size.item(), (size * spread / math.sqrt(len(weights))).item())
