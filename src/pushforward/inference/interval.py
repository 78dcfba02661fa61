"""Numbers between two bounds by the normal's distribution function, which takes a uniform density to a normal one."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import Transform

from pushforward.numerics import finite_square

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class ToInterval(Transform):
    r"""From the reals to an interval, ``y = a + (b - a) Phi(x)``.

    A flow has the tails of its base, the normal, and so has a density that ends at the bounds without falling to zero,
    seen from the reals through ``Phi``; through a sigmoid it has heavier ones, which no such flow covers.

    Args:
        low, high: the bounds, numbers or tensors.

    Example:
        >>> ToInterval(0.0, 4.0)(torch.tensor([-torch.inf, 0.0])), ToInterval(0.0, 4.0).inv(torch.tensor(2.0))
        (tensor([0., 2.]), tensor(0.))
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
        share = torch.special.ndtr(-x.abs()) * (self.high - self.low)
        return torch.where(x < 0, self.low + share, self.high - share)

    def _inverse(self, y: Tensor) -> Tensor:
        over, under = y - self.low, self.high - y
        share = torch.minimum(over, under) / (self.high - self.low)
        quantile = torch.special.ndtri(share.clamp(torch.finfo(y.dtype).tiny, 0.5))
        return torch.where(over <= under, quantile, -quantile)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.as_tensor(self.high - self.low).log() - 0.5 * finite_square(x) - _HALF_LOG_TWO_PI
