"""Piecewise linear splines."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.splines.box import at_ends, bin_sizes, check_box, inside_box, knots, planes, values_inside_box
from pushforward.spaces import Interval


class LinearSpline(ScalarBijection):
    r"""A monotone polyline inside ``(-bound, bound)``, ``z = y_k + d_k (x - x_k)`` in the bin ``k``, the identity
    outside (Müller, McWilliams, Rousselle, Gross, Novák 2019, Neural Importance Sampling, arXiv:1808.03856, here with
    bins of learned widths).

    Parameters per element, ``2 * bins`` in this order: log-widths, log-slopes of the bins, both bounded. Zeros give the
    identity. The density that it makes is piecewise constant.

    Args:
        bins: the number of bins, at least 2.
        bound: half the width of the box.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 2 bins``.

    Raises:
        UsageError: fewer than two bins, or an empty box.

    Example:
        >>> spline = LinearSpline(bins=4)
        >>> parameters = torch.randn(3, spline.num_parameters)
        >>> x = torch.tensor([-1.0, 0.5, 70.0])
        >>> bool(torch.allclose(spline.inverse(spline.forward(x, parameters)[0], parameters)[0], x, atol=1e-4))
        True
    """

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        check_box("LinearSpline", bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 2 * bins
        self.reach = Interval(-bound, bound)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return inside_box(x, self.bound, lambda x: self._line(x, 0, parameters))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return inside_box(z, self.bound, lambda z: self._line(z, 1, parameters))

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return values_inside_box(x, self.bound, lambda x: self._line(x, 0, parameters)[0])

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return values_inside_box(z, self.bound, lambda z: self._line(z, 1, parameters)[0])

    def _line(self, value: Tensor, axis: int, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The polyline from the positions to the values (``axis`` 0) or back (1)."""
        raw_widths, raw_slopes = planes(parameters).split([self.bins, self.bins])
        ends = knots(bin_sizes(raw_widths, raw_slopes, self.bound), self.bound).unbind(1)
        (x0, y0), (x1, y1) = at_ends([ends[axis], ends[1 - axis]], 0, value)
        slope = (y1 - y0) / (x1 - x0)
        return y0 + slope * (value - x0), torch.log(slope)
