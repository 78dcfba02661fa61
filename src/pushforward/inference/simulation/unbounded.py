"""The bijection from a box, bounded where a prior is, onto the reals: what makes a posterior that cannot leak."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.inference.interval import ToInterval
from pushforward.spaces import Interval, Reals
from pushforward.spaces.product import product_of
from pushforward.transforms.base import Bijection


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
        low, high = torch.as_tensor(low), torch.as_tensor(high)
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
        low, high = self._finite
        over, under = torch.where(above, x - low, 1.0), torch.where(below, high - x, 1.0)
        z = torch.where(both, self._interval.inv(torch.where(both, x, 0.5)), x)
        return torch.where(above, over.clamp_min(tiny).log(), torch.where(below, -under.clamp_min(tiny).log(), z))

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        both, above, below = self._kinds
        largest = math.log(torch.finfo(z.dtype).max) - 1.0
        signed = torch.where(below, -z, z)
        distance = torch.exp(torch.where(above | below, signed, 0.0).clamp(-largest, largest))
        low, high = self._finite
        between = self._interval(torch.where(both, z, 0.0))
        x = torch.where(above, low + distance, torch.where(below, high - distance, torch.where(both, between, z)))
        return self._strictly_inside(x)

    @property
    def _kinds(self) -> tuple[Tensor, Tensor, Tensor]:
        """Which parameters have two bounds, one below them, one above them."""
        from_below, from_above = torch.isfinite(self.low), torch.isfinite(self.high)
        return from_below & from_above, from_below & ~from_above, ~from_below & from_above

    @property
    def _finite(self) -> tuple[Tensor, Tensor]:
        """The bounds, with numbers where they are infinite, so that what is not taken stays finite."""
        both, above, below = self._kinds
        return torch.where(both | above, self.low, 0.0), torch.where(both | below, self.high, 1.0)

    @property
    def _interval(self) -> ToInterval:
        """Between two bounds; elsewhere, where it is not taken, between numbers."""
        both, _, _ = self._kinds
        return ToInterval(torch.where(both, self.low, 0.0), torch.where(both, self.high, 1.0))

    def _log_slope(self, z: Tensor) -> Tensor:
        """``log dx/dz`` of each parameter."""
        both, above, below = self._kinds
        probit = self._interval.log_abs_det_jacobian(torch.where(both, z, 0.0), z)
        signed = torch.where(above, z, torch.where(below, -z, 0.0))
        return torch.where(both, probit, signed)

    def _strictly_inside(self, x: Tensor) -> Tensor:
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        return torch.minimum(torch.maximum(x, torch.nextafter(low, high)), torch.nextafter(high, low))


def _space(low: float, high: float) -> Interval | Reals:
    return Reals() if math.isinf(low) and math.isinf(high) else Interval(low, high)
