"""What every network of a distribution function is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.numerics import bounded

MAX_LOG_SLOPE = 4.0
"""Bound on the logarithm of a unit's slope."""


class CumulativeNetwork(Distribution):
    """A distribution given by a network ``H(x)`` of its distribution function; its density is ``H``'s derivative by all
    dimensions, ``p(x) = d^D H / dx_1 ... dx_D``.

    To write one, write what :class:`Distribution` asks for and :meth:`cdf`.

    Shapes: ``x`` is ``(..., D)``, its log-density ``(...)``.

    Raises:
        nothing of its own: what the subclass raises.

    Source: Magdon-Ismail, Atiya (2002), Density estimation and random variate generation using multilayer networks,
    IEEE Transactions on Neural Networks 13.

    Example:
        >>> import pushforward as pf
        >>> distribution = pf.distributions.IncreasingNetwork(1)
        >>> x = torch.zeros(1, requires_grad=True)
        >>> (slope,) = torch.autograd.grad(distribution.cdf(x), x)
        >>> torch.allclose(distribution.log_prob(x), slope.log().sum(), atol=1e-5)
        True
    """

    def cdf(self, x: Tensor) -> Tensor:
        """Return ``H(x)``, of ``batch_shape``."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf: a CumulativeNetwork is abstract")

    def decrease(self, x: Tensor) -> Tensor:
        """Return how much the network decreases near events ``(N, D)``, a scalar: 0 where it cannot."""
        return x.new_zeros(())


def neighbour_slopes(centers: Tensor, rows: Tensor) -> Tensor:
    """Slopes ``(K, D)`` of sigmoids at ``centers`` to start from: each is as wide as the rows ``(N, D)`` nearest to it.

    They are twice its share of the rows in one dimension, and four times as many with each dimension more, in which
    there are more neighbours to overlap with.

    Source: Loftsgaarden, Quesenberry (1965), Annals of Mathematical Statistics 36, 1049-1051, for such kernels.

    Example:
        >>> neighbour_slopes(torch.zeros(1, 1), torch.randn(100_000, 1)).round(decimals=1)
        tensor([[1.8000]])
    """
    shares = 2 ** (2 * rows.shape[1] - 1)
    count = min(len(rows), max(shares * len(rows) // len(centers), 2))
    nearest = torch.cdist(centers, rows).topk(count, largest=False).indices
    spread = rows[nearest].std(1, correction=0).clamp_min(torch.finfo(rows.dtype).eps)
    return math.pi / math.sqrt(3.0) / spread


def log_slopes_of(raw: Tensor) -> Tensor:
    """Logarithms of slopes, bounded, of what is learned."""
    return bounded(raw, MAX_LOG_SLOPE)


def raw_of(slopes: Tensor) -> Tensor:
    """What :func:`log_slopes_of` makes the logarithms of these slopes of, or of the nearest that it can begin from.

    Example:
        >>> log_slopes_of(raw_of(torch.tensor([2.0, 1e9]))).exp().round(decimals=3)
        tensor([ 2.0000, 20.0860])
    """
    log_slopes = torch.log(slopes).clamp(1.0 - MAX_LOG_SLOPE, MAX_LOG_SLOPE - 1.0)
    return log_slopes * torch.rsqrt(1.0 - (log_slopes / MAX_LOG_SLOPE).square())
