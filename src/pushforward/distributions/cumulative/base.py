"""What every network of a distribution function is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution


class CumulativeNetwork(Distribution):
    """A distribution given by a network ``H(x)`` of its distribution function; its density is ``H``'s derivative by all
    dimensions, ``p(x) = d^D H / dx_1 ... dx_D``.

    To write one, write what :class:`Distribution` asks for and :meth:`cdf`.
    """

    def cdf(self, x: Tensor) -> Tensor:
        """Return ``H(x)``, of ``batch_shape``."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf: a CumulativeNetwork is abstract")

    def decrease(self, x: Tensor) -> Tensor:
        """Return how much the network decreases near events ``(N, D)``, a scalar: 0 where it cannot."""
        return x.new_zeros(())


def kernel_slopes(rows: Tensor, units: int) -> Tensor:
    """Slopes ``(D,)`` of sigmoids to start from: those of a kernel estimate of so many points, by Silverman's rule.

    Example:
        >>> kernel_slopes(torch.randn(100_000, 1), 32).round(decimals=1)
        tensor([3.6000])
    """
    spread = rows.std(0, correction=0).clamp_min(torch.finfo(rows.dtype).eps)
    return math.pi / math.sqrt(3.0) * units ** (1.0 / (rows.shape[1] + 4.0)) / spread
