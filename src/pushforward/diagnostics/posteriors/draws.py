"""What posteriors are to diagnostics: draws at observations, and pairs that they are checked against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from pushforward.errors import DataError, ShapeError, UsageError

Sampler = Callable[[int, Tensor], Tensor]
"""Draws ``(n, N, D)`` at observations ``(N, ...)``: ``lambda n, x: npe.posterior(x).sample(n)``, say."""


class Posterior(Protocol):
    """A distribution of parameters given an observation, as every conditional flow is one."""

    def sample(self, sample_shape: int, context: Any, /) -> Tensor:
        """Draw ``(n, N, D)`` at observations ``(N, ...)``."""

    def log_prob(self, x: Any, context: Any, /) -> Tensor:
        """The log-density of parameters ``(..., N, D)`` at observations ``(N, ...)``, ``(..., N)``."""


def check_pairs(owner: str, theta: Tensor, x: Tensor) -> None:
    """Check parameters ``(N, D)`` and their observations ``(N, ...)``.

    Raises:
        ShapeError: if they are no such.
        DataError: if there are fewer than two, or a parameter is not finite.
    """
    if theta.dim() != 2 or not x.dim() or len(theta) != len(x):
        raise ShapeError(
            f"{owner} expects parameters (N, D) and as many observations (N, ...), got {tuple(theta.shape)} and "
            f"{tuple(x.shape)}"
        )
    if len(theta) < 2 or not bool(theta.isfinite().all()):
        raise DataError(f"{owner} expects at least two pairs with finite parameters, got {len(theta)}")


def posterior_draws(
    owner: str,
    posterior: Posterior | Sampler | Tensor,
    count: int,
    x: Tensor,
    seed: int,
    features: int | None = None,
) -> Tensor:
    """Draw ``(count, N, D)`` of a posterior at observations; draws that are given as a tensor are taken as they are.

    Args:
        owner: who asks, for errors.
        posterior: with ``sample(n, x)``, or such a function, or its draws.
        count: how many for each observation.
        x: the observations.
        seed: of the draws; the global state of random numbers is left as it was.
        features: how many parameters there are, where that is known.

    Raises:
        UsageError: if it is none of these.
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
def _drawn(owner: str, posterior: Posterior | Sampler, count: int, x: Tensor, seed: int) -> Tensor:
    sample: Any = getattr(posterior, "sample", posterior)
    if not callable(sample):
        raise UsageError(
            f"{owner} expects a posterior with sample(n, x), a function of n and x, or draws (n, N, D), got "
            f"{type(posterior).__name__}"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.as_tensor(sample(count, x)).detach()


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
