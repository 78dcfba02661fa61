"""The bijection from a box, bounded where a prior is, onto the reals: what makes a posterior that cannot leak."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import finite_square, normal_tail
from pushforward.spaces import Interval, Reals
from pushforward.spaces.product import product_of
from pushforward.transforms.base import Bijection

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
# Beyond it the normal's tail has no number in single precision.
_FARTHEST = 12.0


class Unbounded(Bijection):
    r"""Parameters in a box mapped one by one onto the reals.

    Between two bounds ``z = Phi^-1((x - a) / (b - a))``, with the normal's distribution function, so that a uniform
    prior becomes a standard normal; above a bound ``z = log(x - a)``, below one ``z = -log(b - x)``, and ``z = x``
    without. A density on the reals, seen through it, has no mass outside of the box.

    Args:
        low, high: the bounds, ``(D,)``, infinite where there is none.

    Raises:
        UsageError: unless ``low < high`` everywhere.

    Example:
        >>> z, log_det = Unbounded(torch.tensor([0.0, -torch.inf]), torch.tensor([2.0, torch.inf]))(torch.ones(2))
        >>> z, round(log_det.item(), 4) == round(math.log(0.5) + 0.5 * math.log(2 * math.pi), 4)
        (tensor([0., 1.]), True)
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        low, high = torch.as_tensor(low, dtype=torch.float32), torch.as_tensor(high, dtype=torch.float32)
        if low.dim() != 1 or low.shape != high.shape or not bool((low < high).all()):
            raise UsageError(f"Unbounded expects vectors low < high, got {low.tolist()} and {high.tolist()}")
        self.domain = product_of([_space(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)])
        self.codomain = Reals(low.shape)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z = self.encode(x, context)
        return z, -self._log_slope(z).sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.decode(z, context), self._log_slope(z).sum(-1)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(x, context, self.domain)
        both, above, below = self._kinds
        tiny = torch.finfo(x.dtype).tiny
        # A number where the bound is infinite, so that what is not taken stays finite.
        over = torch.where(both | above, x - self.low.clamp_min(-torch.finfo(x.dtype).max), 1.0).clamp_min(tiny)
        under = torch.where(both | below, self.high.clamp_max(torch.finfo(x.dtype).max) - x, 1.0).clamp_min(tiny)
        width = torch.where(both, self.high - self.low, 1.0)
        # From the nearer end, where the probability has all its digits.
        lower = over <= under
        share = torch.where(both, torch.where(lower, over, under) / width, 0.25).clamp(tiny, 0.5)
        quantile = torch.special.ndtri(share).clamp_min(-_FARTHEST)
        z = torch.where(both, torch.where(lower, quantile, -quantile), x)
        return torch.where(above, torch.log(over), torch.where(below, -torch.log(under), z))

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        both, above, below = self._kinds
        largest = math.log(torch.finfo(z.dtype).max) - 1.0
        signed = torch.where(below, -z, z)
        distance = torch.exp(torch.where(above | below, signed, 0.0).clamp(-largest, largest))
        tail = normal_tail(torch.where(both, z, 0.0)) * torch.where(both, self.high - self.low, 1.0)
        low, high = torch.where(both | above, self.low, 0.0), torch.where(both | below, self.high, 0.0)
        between = torch.where(z < 0, low + tail, high - tail)
        x = torch.where(above, low + distance, torch.where(below, high - distance, torch.where(both, between, z)))
        return self._strictly_inside(x)

    @property
    def _kinds(self) -> tuple[Tensor, Tensor, Tensor]:
        """Which parameters have two bounds, one below them, one above them."""
        from_below, from_above = torch.isfinite(self.low), torch.isfinite(self.high)
        return from_below & from_above, from_below & ~from_above, ~from_below & from_above

    def _log_slope(self, z: Tensor) -> Tensor:
        """``log dx/dz`` of each parameter."""
        both, above, below = self._kinds
        log_width = torch.log(torch.where(both, self.high - self.low, 1.0))
        probit = log_width - 0.5 * finite_square(torch.where(both, z, 0.0)) - _HALF_LOG_TWO_PI
        signed = torch.where(above, z, torch.where(below, -z, 0.0))
        return torch.where(both, probit, signed)

    def _strictly_inside(self, x: Tensor) -> Tensor:
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        return torch.minimum(torch.maximum(x, torch.nextafter(low, high)), torch.nextafter(high, low))


def _space(low: float, high: float) -> Interval | Reals:
    return Reals() if math.isinf(low) and math.isinf(high) else Interval(low, high)
