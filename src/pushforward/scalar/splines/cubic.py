"""Monotone cubic splines."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.kernels.iteration import separate
from pushforward.numerics import bounded
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.root import TOLERANCE, Increasing, invert, solve
from pushforward.scalar.splines.box import at_ends, bin_sizes, check_box, inside_box, knots, planes, values_inside_box
from pushforward.spaces import Interval

MAX_LOGIT = 3.0
"""Bound on the logits of the slopes at the two ends of the box, which must not be flat."""


class CubicSpline(ScalarBijection):
    r"""A monotone spline of cubics inside ``(-bound, bound)``, the identity outside (Durkan, Bekasov, Murray,
    Papamakarios 2019, Cubic-Spline Flows, arXiv:1906.02145).

    With ``t = (x - x0) / w``, the bin's slope ``s`` and the knots' slopes ``d0``, ``d1``,
    ``z = y0 + w (d0 t + (3 s - 2 d0 - d1) t^2 + (d0 + d1 - 2 s) t^3)``. The inner knots' slopes are Steffen's (1990),
    which keep every cubic monotone.

    Parameters per element, ``2 * bins + 2`` in this order: ``bins`` log-widths, ``bins`` log-slopes of the bins, both
    bounded, and the slopes at the two ends as logits of their share of twice the outer bin's slope. Zeros give the
    identity. The derivative jumps at the ends of the box. The inverse is iterative, see ``tolerance``; gradients
    through it are by implicit differentiation.

    Args:
        bins: the number of bins, at least 2.
        bound: half the width of the box.

    Raises:
        UsageError: fewer than two bins, or an empty box.

    Example:
        >>> spline = CubicSpline(bins=4)
        >>> parameters = torch.randn(3, spline.num_parameters)
        >>> x = torch.tensor([-1.0, 0.5, 70.0])
        >>> bool(torch.allclose(spline.inverse(spline.forward(x, parameters)[0], parameters)[0], x, atol=1e-4))
        True
    """

    tolerance = TOLERANCE

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        check_box("CubicSpline", bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 2 * bins + 2
        self.reach = Interval(-bound, bound)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        def mapping(x: Tensor) -> tuple[Tensor, Tensor]:
            (x0, y0, d0), (x1, y1, d1) = at_ends(self._table(parameters), 0, x)
            width = x1 - x0
            rise, log_slope = _cubic((x - x0) / width, (y1 - y0) / width, d0, d1)
            return y0 + width * rise, log_slope

        return inside_box(x, self.bound, mapping)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        def mapping(z: Tensor) -> tuple[Tensor, Tensor]:
            x0, width, equation = self._equation(z, parameters)
            t, log_slope = invert(*equation)
            return x0 + width * t, log_slope

        return inside_box(z, self.bound, mapping)

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        def mapping(x: Tensor) -> Tensor:
            (x0, y0, d0), (x1, y1, d1) = at_ends(self._table(parameters), 0, x)
            width = x1 - x0
            return y0 + width * _rise((x - x0) / width, (y1 - y0) / width, d0, d1)

        return values_inside_box(x, self.bound, mapping)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        def mapping(z: Tensor) -> Tensor:
            x0, width, equation = self._equation(z, parameters)
            return x0 + width * solve(*equation)

        return values_inside_box(z, self.bound, mapping)

    def _equation(
        self, z: Tensor, parameters: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Increasing, Tensor, Tensor, Tensor]]:
        """The left end and the width of each value's bin, and the equation of the share of it that lies to the left."""
        (x0, y0, d0), (x1, y1, d1) = at_ends(self._table(parameters), 1, z)
        width = x1 - x0
        slope, d0, d1 = separate(((y1 - y0) / width, d0, d1))
        zero = torch.zeros_like(z)
        return x0, width, (lambda t: _cubic_and_on(t, slope, d0, d1), (z - y0) / width, zero, zero + 1.0)

    def _table(self, parameters: Tensor) -> list[Tensor]:
        """The knots' positions, values and slopes, each ``(K + 1, ...)``."""
        raw_widths, raw_slopes, raw_ends = planes(parameters).split([self.bins, self.bins, 2])
        sizes = bin_sizes(raw_widths, raw_slopes, self.bound)
        slopes = sizes[:, 1] / sizes[:, 0]
        ends = 2.0 * torch.sigmoid(bounded(raw_ends, MAX_LOGIT)) * torch.stack([slopes[0], slopes[-1]])
        inner = _steffen(sizes[:, 0], slopes)
        return [*knots(sizes, self.bound).unbind(1), torch.cat([ends[:1], inner, ends[1:]])]


def _steffen(widths: Tensor, slopes: Tensor) -> Tensor:
    """The inner knots' slopes: the parabola's through three knots, but at most twice either bin's."""
    left_width, right_width = widths[:-1], widths[1:]
    left, right = slopes[:-1], slopes[1:]
    parabola = (left * right_width + right * left_width) / (left_width + right_width)
    return torch.minimum(2.0 * torch.minimum(left, right), parabola)


def _rise(t: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    """The rise over the width."""
    rest = 1.0 - t
    return t * (d0 * rest * rest + t * (slope * t + (3.0 * slope - d1) * rest))


def _cubic(t: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> tuple[Tensor, Tensor]:
    """The rise over the width, and the log-slope."""
    rest = 1.0 - t
    middle = 3.0 * slope - d0 - d1
    return _rise(t, slope, d0, d1), torch.log(d0 * rest * rest + 2.0 * middle * t * rest + d1 * t * t)


def _cubic_and_on(t: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> tuple[Tensor, Tensor]:
    """The same, going on straight outside of the bin, where rounding may have put the root."""
    inside = t.clamp(0.0, 1.0)
    rise, log_slope = _cubic(inside, slope, d0, d1)
    return rise + torch.exp(log_slope) * (t - inside), log_slope
