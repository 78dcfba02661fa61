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
    find_bin,
    inside_box,
    knots,
    planes,
    shares,
)


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
        check_box(bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 2 * bins + 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        table = self._table(parameters)
        return inside_box(x, self.bound, lambda value: _forward(value, table))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        table = self._table(parameters)
        return inside_box(z, self.bound, lambda value: _inverse(value, table))

    def _table(self, parameters: Tensor) -> Tensor:
        """The knots' positions, values and slopes, ``(K + 1, 3, ...)``."""
        raw_widths, raw_slopes = planes(parameters).split([self.bins, self.bins + 1])
        box = 2.0 * self.bound
        widths = shares(bounded(raw_widths, MAX_LOG_WIDTH)) * box
        slopes = torch.exp(bounded(raw_slopes, MAX_LOG_SLOPE))
        areas = 0.5 * widths * (slopes[:-1] + slopes[1:])
        scale = box / areas.sum(0, keepdim=True)
        sizes = torch.stack([widths, areas * scale], 1)
        return torch.cat([knots(sizes, self.bound), (slopes * scale).unsqueeze(1)], 1)


def _forward(x: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    (x0, y0, d0), (x1, _, d1) = at_ends(table, find_bin(x, table[:, 0]))
    t = (x - x0) / (x1 - x0)
    slope = d0 + (d1 - d0) * t
    return y0 + 0.5 * (x - x0) * (d0 + slope), torch.log(slope)


def _inverse(z: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    (x0, y0, d0), (x1, _, d1) = at_ends(table, find_bin(z, table[:, 1]))
    # The slope at the root, from the area of the trapezoid beside it; never below the smaller of the two ends.
    rise = (z - y0) / (x1 - x0)
    smallest = torch.minimum(d0, d1)
    slope = torch.sqrt((d0 * d0 + 2.0 * (d1 - d0) * rise).clamp_min(smallest * smallest))
    return x0 + 2.0 * (z - y0) / (d0 + slope), -torch.log(slope)
