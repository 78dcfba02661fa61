"""Numbers between two bounds by the normal's distribution function, which takes a uniform density to a normal one."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import Transform

from pushforward.numerics import finite_square, normal_tail

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class ToInterval(Transform):
    r"""From the reals to an interval, ``y = a + (b - a) Phi(x)``.

    A flow has the tails of its base, the normal, and so has a density that ends at the bounds without falling to zero,
    seen from the reals through ``Phi``; through a sigmoid it has heavier ones, which no such flow covers.

    Args:
        low, high: the bounds, numbers or tensors.

    Example:
        >>> ToInterval(1.0, 5.0)(torch.tensor([-torch.inf, 0.0])), ToInterval(1.0, 5.0).inv(torch.tensor(3.0))
        (tensor([1.0000, 3.0000]), tensor(0.))
    """

    domain = constraints.real
    bijective = True
    sign = 1

    def __init__(self, low: float | Tensor, high: float | Tensor) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.codomain = constraints.interval(low, high)

    def _call(self, x: Tensor) -> Tensor:
        # From the nearer end, where the probability has all its digits.
        low, high = self._bounds(x)
        share = normal_tail(x) * (high - low)
        return _inside(torch.where(x < 0, low + share, high - share), low, high)

    def _inverse(self, y: Tensor) -> Tensor:
        low, high = self._bounds(y)
        over, under = y - low, high - y
        share = torch.minimum(over, under) / (high - low)
        quantile = torch.special.ndtri(share.clamp(torch.finfo(y.dtype).tiny, 0.5))
        return torch.where(over <= under, quantile, -quantile)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        low, high = self._bounds(x)
        return (high - low).log() - 0.5 * finite_square(x) - _HALF_LOG_TWO_PI

    def _bounds(self, like: Tensor) -> tuple[Tensor, Tensor]:
        low, high = (torch.as_tensor(bound, dtype=like.dtype, device=like.device) for bound in (self.low, self.high))
        return low, high


def _inside(y: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Numbers off the ends, to which they are rounded: there densities are zero or infinite, or have such slopes."""
    tiny = torch.finfo(y.dtype).tiny
    least = torch.maximum(torch.nextafter(low, high), low + tiny)
    return y.clamp(least, torch.minimum(torch.nextafter(high, low), high - tiny))
