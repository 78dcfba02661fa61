"""What posteriors are to diagnostics: draws at observations, and pairs that they are checked against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.scalar.arguments import check_counts

Sampler = Callable[[int, Tensor], Tensor]
"""Draws ``(n, N, D)`` at observations ``(N, ...)``, of ``n`` and these."""


class Posterior(Protocol):
    """A distribution of parameters given an observation, as every conditional flow is one."""

    def sample(self, sample_shape: int, context: Any, /) -> Tensor:
        """Draw ``(n, N, D)`` at observations ``(N, ...)``."""

    def log_prob(self, x: Any, context: Any, /) -> Tensor:
        """The log-density of parameters ``(..., N, D)`` at observations ``(N, ...)``, ``(..., N)``."""


class Estimator(Protocol):
    """What gives a distribution for observations ``(N, ...)``, with ``sample((n,))`` and ``log_prob(theta)`` as those
    of torch."""

    def posterior(self, x: Any, /) -> Any:
        """The distribution of the parameters at observations."""


@dataclass(frozen=True)
class Estimated:
    """The posterior of an estimator, as a function of parameters and observations."""

    estimator: Estimator

    def sample(self, sample_shape: int, context: Any, /) -> Tensor:
        """Draw ``(n, N, D)``."""
        return self.estimator.posterior(context).sample(torch.Size([sample_shape]))

    def log_prob(self, x: Any, context: Any, /) -> Tensor:
        """The log-density, ``(..., N)``."""
        return self.estimator.posterior(context).log_prob(x)


@dataclass(frozen=True)
class Sampled:
    """A posterior of which there are draws alone."""

    sample: Sampler


Given = Posterior | Estimator | Sampler
"""A posterior, as people have it."""


def as_posterior(owner: str, subject: Given) -> Any:
    """What has ``sample(n, x)`` and, where the subject knows densities, ``log_prob(theta, x)``.

    Raises:
        UsageError: if the subject is no posterior.
    """
    if callable(getattr(subject, "posterior", None)):
        return Estimated(subject)  # type: ignore[arg-type]
    if callable(getattr(subject, "sample", None)):
        return subject
    if callable(subject):
        return Sampled(subject)
    raise UsageError(
        f"{owner} expects a posterior with sample(n, x), an estimator with posterior(x), a function of n and x, or "
        f"draws (n, N, D), got {type(subject).__name__}"
    )


def check_pairs(owner: str, theta: Tensor, x: Tensor) -> None:
    """Check parameters ``(N, D)`` and their observations ``(N, ...)``.

    Raises:
        ShapeError: if they are no such.
        DataError: if there are fewer than two, a parameter is not finite, or an observation is infinite (it may be NaN
            where it is missing).
    """
    if theta.dim() != 2 or not x.dim() or len(theta) != len(x):
        raise ShapeError(
            f"{owner} expects parameters (N, D) and as many observations (N, ...), got {tuple(theta.shape)} and "
            f"{tuple(x.shape)}"
        )
    if len(theta) < 2 or not bool(theta.isfinite().all()):
        raise DataError(f"{owner} expects at least two pairs with finite parameters, got {len(theta)}")
    if bool(x.isinf().any()):
        raise DataError(f"{owner} expects finite observations, NaN where they are missing, got infinite ones")


def posterior_draws(
    owner: str,
    posterior: Given | Tensor,
    count: int,
    x: Tensor,
    seed: int,
    features: int | None = None,
) -> Tensor:
    """Draw ``(count, N, D)`` of a posterior at observations; draws that are given as a tensor are taken as they are.

    Args:
        owner: who asks, for errors.
        posterior: with ``sample(n, x)``, or an estimator, or a function, or its draws.
        count: how many for each observation.
        x: the observations.
        seed: of the draws; the global state of random numbers is left as it was.
        features: how many parameters there are, where that is known.

    Raises:
        UsageError: if it is none of these, or there is nothing to draw.
        ShapeError: if the draws have another shape.
        DataError: if a draw is not finite.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.nsf(features=2, context=3, layers=1)
        >>> posterior_draws("doctest", flow, 5, torch.zeros(4, 3), seed=0).shape
        torch.Size([5, 4, 2])
    """
    if isinstance(posterior, Tensor):
        drawn = posterior.detach()
        count = len(drawn) if drawn.dim() else 0
    else:
        drawn = _drawn(owner, posterior, count, x, seed)
    if drawn.dim() != 3 or drawn.shape[:2] != (count, len(x)) or features not in (None, drawn.shape[2]) or not count:
        expected = f"({count or 'n'}, {len(x)}, {features or 'D'})"
        raise ShapeError(f"{owner} expects draws {expected} of the posterior, got {tuple(drawn.shape)}")
    if not bool(drawn.isfinite().all()):
        raise DataError(f"{owner} expects finite draws of the posterior, got {int((~drawn.isfinite()).sum())} others")
    return drawn


def plain(values: Tensor) -> Tensor:
    """The values in double precision on the CPU, where they are compared."""
    return values.detach().to("cpu", torch.float64)


@torch.no_grad()
def _drawn(owner: str, posterior: Given, count: int, x: Tensor, seed: int) -> Tensor:
    check_counts(owner, draws=count)
    subject = as_posterior(owner, posterior)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.as_tensor(subject.sample(count, x)).detach()


def ranks_of(truth: Tensor, draws: Tensor, seed: int) -> Tensor:
    """How many of the draws ``(n, ...)`` lie below the truth, ``(...)``; each of those that are equal to it does so
    by chance.

    Example:
        >>> ranks_of(torch.tensor([0.5, 9.0]), torch.tensor([[0.0, 1.0], [1.0, 2.0]]), seed=0)
        tensor([1, 2])
    """
    below, equal = (draws < truth).sum(0), (draws == truth).sum(0)
    chance = torch.rand(equal.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return below + (chance * (equal + 1)).long()
