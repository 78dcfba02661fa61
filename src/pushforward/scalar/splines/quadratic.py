"""Piecewise quadratic splines: integrals of polylines."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import bounded
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.splines.box import (
    MAX_LOG_SLOPE,
    MAX_LOG_WIDTH,
    at_ends,
    check_box,
    inside_box,
    knots,
    planes,
    shares,
    values_inside_box,
)
from pushforward.spaces import Interval


class QuadraticSpline(ScalarBijection):
    r"""A monotone spline of parabolas inside ``(-bound, bound)``, the identity outside (Müller, McWilliams, Rousselle,
    Gross, Novák 2019, Neural Importance Sampling, arXiv:1808.03856).

    The derivative is a polyline through the slopes ``d`` at the knots, scaled so that the box is mapped onto itself:
    ``z = y0 + w (d0 t + (d1 - d0) t^2 / 2)`` with ``t = (x - x0) / w``.

    Parameters per element, ``2 * bins + 1`` in this order: ``bins`` log-widths, ``bins + 1`` log-slopes of the knots,
    both bounded. Zeros give the identity. The derivative jumps at the ends of the box.

    Args:
        bins: the number of bins, at least 2.
        bound: half the width of the box.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 2 bins + 1``.

    Raises:
        UsageError: fewer than two bins, or an empty box.

    Example:
        >>> spline = QuadraticSpline(bins=4)
        >>> parameters = torch.randn(3, spline.num_parameters)
        >>> x = torch.tensor([-1.0, 0.5, 70.0])
        >>> bool(torch.allclose(spline.inverse(spline.forward(x, parameters)[0], parameters)[0], x, atol=1e-4))
        True
    """

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        check_box("QuadraticSpline", bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 2 * bins + 1
        self.reach = Interval(-bound, bound)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return inside_box(x, self.bound, lambda x: _with_log(*self._forward(x, parameters), 1.0))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return inside_box(z, self.bound, lambda z: _with_log(*self._inverse(z, parameters), -1.0))

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return values_inside_box(x, self.bound, lambda x: self._forward(x, parameters)[0])

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return values_inside_box(z, self.bound, lambda z: self._inverse(z, parameters)[0])

    def _forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The value and the slope there."""
        (x0, y0, d0), (x1, _, d1) = at_ends(self._table(parameters), 0, x)
        t = (x - x0) / (x1 - x0)
        slope = d0 + (d1 - d0) * t
        return y0 + 0.5 * (x - x0) * (d0 + slope), slope

    def _inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The root and the slope there."""
        (x0, y0, d0), (x1, _, d1) = at_ends(self._table(parameters), 1, z)
        # The slope at the root, from the area of the trapezoid beside it; never below the smaller of the two ends.
        rise = (z - y0) / (x1 - x0)
        smallest = torch.minimum(d0, d1)
        slope = torch.sqrt((d0 * d0 + 2.0 * (d1 - d0) * rise).clamp_min(smallest * smallest))
        return x0 + 2.0 * (z - y0) / (d0 + slope), slope

    def _table(self, parameters: Tensor) -> list[Tensor]:
        """The knots' positions, values and slopes, each ``(K + 1, ...)``."""
        raw_widths, raw_slopes = planes(parameters).split([self.bins, self.bins + 1])
        box = 2.0 * self.bound
        widths = shares(bounded(raw_widths, MAX_LOG_WIDTH)) * box
        slopes = torch.exp(bounded(raw_slopes, MAX_LOG_SLOPE))
        areas = 0.5 * widths * (slopes[:-1] + slopes[1:])
        scale = box / areas.sum(0, keepdim=True)
        return [*knots(torch.stack([widths, areas * scale], 1), self.bound).unbind(1), slopes * scale]


def _with_log(value: Tensor, slope: Tensor, sign: float) -> tuple[Tensor, Tensor]:
    return value, sign * torch.log(slope)
