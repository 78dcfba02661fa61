"""Rational-quadratic splines, on the line with identity tails and on the circle."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pushforward.numerics import bounded
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.splines.box import (
    MAX_LOG_SLOPE,
    MAX_LOG_WIDTH,
    at_ends,
    bin_sizes,
    check_box,
    find_bin,
    inside_box,
    knots,
    planes,
)
from pushforward.spaces import Circle

Knot = Sequence[Tensor]
"""A knot's position, value and slope."""

InBin = Callable[[Tensor, Knot, Knot], tuple[Tensor, Tensor]]
"""A value and the two knots of its bin to the mapped value and the log-derivative."""

MAX_LOG_KNOT_SLOPE = 2.0
"""Bound on the logarithm of a knot's slope relative to the harmonic mean of its two bins' slopes."""

MAX_LOG_KNOT_SLOPE_ON_CIRCLE = 1.0
"""The same on the circle, where turning by the phase costs more of the last digits."""

MIN_DISCRIMINANT = 1e-12
"""Below what the bounds allow; it only keeps rounding from making a square root negative."""


class RationalQuadraticSpline(ScalarBijection):
    r"""A monotone spline of quotients of quadratics inside ``(-bound, bound)``, the identity outside (Durkan, Bekasov,
    Murray, Papamakarios 2019, Neural Spline Flows, arXiv:1906.04032).

    In the bin with left knot ``(x0, y0)``, width ``w``, height ``h``, slope ``s = h / w`` and knot slopes ``d0``,
    ``d1``, with ``t = (x - x0) / w`` and ``u = t (1 - t)``,

    ``z = y0 + h (s t^2 + d0 u) / (s + (d0 + d1 - 2 s) u)``.

    Parameters per element, ``3 * bins - 1`` in this order: ``bins`` log-widths, ``bins`` log-slopes of the bins,
    ``bins - 1`` log-slopes of the inner knots relative to the harmonic mean of the two bins beside it. All are bounded
    smoothly so that the inverse stays well conditioned in float32 whatever a network emits; the slope at the two ends
    is 1, so the derivative is continuous everywhere.

    Args:
        bins: the number of bins, at least 2.
        bound: half the width of the box.

    Raises:
        UsageError: fewer than two bins, or an empty box.

    Example:
        >>> spline = RationalQuadraticSpline(bins=8, bound=5.0)
        >>> x = torch.tensor([-7.0, 0.3])
        >>> z, log_dz = spline.forward(x, torch.randn(2, spline.num_parameters))
        >>> z[0].item(), log_dz[0].item()
        (-7.0, 0.0)
    """

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        check_box(bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 3 * bins - 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._map(_forward, 0, x, parameters)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._map(_inverse, 1, z, parameters)

    def _map(self, in_bin: InBin, axis: int, value: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        if torch.compiler.is_compiling():
            # One loop over the elements computes all again faster than memory gives back what was kept of it.
            return checkpoint(
                self._map_unrolled, in_bin, axis, value, parameters, use_reentrant=False, preserve_rng_state=False
            )
        table = self._table(parameters)
        return inside_box(value, self.bound, lambda value: in_bin(value, *_ends(value, table, axis)))

    def _map_unrolled(self, in_bin: InBin, axis: int, value: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The same without sums and searches along the bins, which the compiler could not fuse with what is around."""
        bins, units = self._unrolled_bins(parameters)

        def mapping(value: Tensor) -> tuple[Tensor, Tensor]:
            found, beyond = bins[0], []
            for this in bins[1:]:
                beyond.append(value >= this[axis] * units[axis] - self.bound)
                found = [torch.where(beyond[-1], new, old) for new, old in zip(this, found)]
            left, right = self._knots_of_bin(found, units)
            one = torch.ones_like(value)
            left[2], right[2] = torch.where(beyond[0], left[2], one), torch.where(beyond[-1], one, right[2])
            return in_bin(value, left, right)

        return inside_box(value, self.bound, mapping)

    def _unrolled_bins(self, parameters: Tensor) -> tuple[list[list[Tensor]], tuple[Tensor, Tensor]]:
        """What :meth:`_knots_of_bin` needs of each bin, and the units of all widths and of all heights."""
        raw = parameters.movedim(-1, 0).unbind(0)
        widths = [torch.exp(bounded(width, MAX_LOG_WIDTH)) for width in raw[: self.bins]]
        slopes = [torch.exp(bounded(slope, MAX_LOG_SLOPE)) for slope in raw[self.bins : 2 * self.bins]]
        heights = [width * slope for width, slope in zip(widths, slopes)]
        zero = torch.zeros_like(widths[0])
        columns = [
            [zero, *accumulate(widths[:-1])],
            [zero, *accumulate(heights[:-1])],
            widths,
            heights,
            [slopes[0], *slopes[:-1]],
            slopes,
            [*slopes[1:], slopes[-1]],
            [zero, *raw[2 * self.bins :]],
            [*raw[2 * self.bins :], zero],
        ]
        units = (2.0 * self.bound / sum(widths, zero), 2.0 * self.bound / sum(heights, zero))
        return [list(row) for row in zip(*columns)], units

    def _knots_of_bin(self, found: list[Tensor], units: tuple[Tensor, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The left and the right knot, as if both were inner ones."""
        x, y, width, height, *slopes, raw_left, raw_right = found
        unit_x, unit_y = units
        before, here, after = (unit_x / (unit_y * slope) for slope in slopes)
        x0, y0 = x * unit_x - self.bound, y * unit_y - self.bound
        d0 = _knot_slopes(bounded(raw_left, MAX_LOG_KNOT_SLOPE), before, here)
        d1 = _knot_slopes(bounded(raw_right, MAX_LOG_KNOT_SLOPE), here, after)
        return [x0, y0, d0], [x0 + width * unit_x, y0 + height * unit_y, d1]

    def _table(self, parameters: Tensor) -> Tensor:
        raw_widths, raw_slopes, raw_knot_slopes = planes(parameters).split([self.bins, self.bins, self.bins - 1])
        sizes = bin_sizes(raw_widths, raw_slopes, self.bound)
        inverse_slopes = sizes[:, 0] / sizes[:, 1]
        end = torch.ones_like(inverse_slopes[:1])
        log_factors = bounded(raw_knot_slopes, MAX_LOG_KNOT_SLOPE)
        slopes = torch.cat([end, _knot_slopes(log_factors, inverse_slopes[:-1], inverse_slopes[1:]), end])
        return torch.cat([knots(sizes, self.bound), slopes.unsqueeze(1)], 1)


class CircularRationalQuadraticSpline(ScalarBijection):
    r"""A rational-quadratic spline on the circle ``(-bound, bound)``, whose two ends are one point (Rezende et al.
    2020, Normalizing Flows on Tori and Spheres, arXiv:2002.02428).

    The angle is first shifted, ``wrap(x + phase)``, so that the spline's fixed point lies anywhere, then mapped by a
    spline with equal slopes at the two ends: the density is continuous around the circle. Inputs outside the box are
    wrapped into it.

    Parameters per element, ``3 * bins + 1`` in this order: ``bins`` log-widths, ``bins`` log-slopes of the bins,
    ``bins`` log-slopes of the knots (the first belongs to both ends), the phase; bounded as in
    :class:`RationalQuadraticSpline`.

    Args:
        bins: the number of bins, at least 2.
        bound: half the circumference, by default pi: the box is ``(-bound, bound)``.

    Raises:
        UsageError: fewer than two bins, or an empty box.

    Example:
        >>> spline = CircularRationalQuadraticSpline(bins=4)
        >>> parameters = torch.randn(spline.num_parameters)
        >>> one_way, _ = spline.forward(torch.tensor(1.0), parameters)
        >>> once_round, _ = spline.forward(torch.tensor(1.0 + 2.0 * math.pi), parameters)
        >>> bool((one_way - once_round).abs() < 1e-4)
        True
    """

    def __init__(self, bins: int = 8, bound: float = math.pi) -> None:
        check_box(bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 3 * bins + 1
        self.domain = self.codomain = Circle((), -bound, bound)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        phase, table = self._phase_and_table(parameters)
        angle = self._wrap(x + phase)
        return _forward(angle, *_ends(angle, table, 0))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        phase, table = self._phase_and_table(parameters)
        angle = self._wrap(z)
        x, log_dx = _inverse(angle, *_ends(angle, table, 1))
        return self._wrap(x - phase), log_dx

    def _wrap(self, angle: Tensor) -> Tensor:
        turns = torch.floor((angle + self.bound) / (2.0 * self.bound))
        # Rounding can leave the wrapped angle an ulp outside the box.
        return (angle - 2.0 * self.bound * turns).clamp(-self.bound, self.bound)

    def _phase_and_table(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        sections = [self.bins, self.bins, self.bins, 1]
        raw_widths, raw_slopes, raw_knot_slopes, raw_phase = planes(parameters).split(sections)
        sizes = bin_sizes(raw_widths, raw_slopes, self.bound)
        inverse_slopes = sizes[:, 0] / sizes[:, 1]
        log_factors = bounded(raw_knot_slopes, MAX_LOG_KNOT_SLOPE_ON_CIRCLE)
        slopes = _knot_slopes(log_factors, inverse_slopes.roll(1, 0), inverse_slopes)
        slopes = torch.cat([slopes, slopes[:1]])
        table = torch.cat([knots(sizes, self.bound), slopes.unsqueeze(1)], 1)
        return bounded(raw_phase.squeeze(0), self.bound), table


def _knot_slopes(log_factors: Tensor, inverse_left: Tensor, inverse_right: Tensor) -> Tensor:
    """A knot's slope: the harmonic mean of the slopes of the bins beside it times a bounded factor."""
    # A steep knot makes the inside of a flat bin flatter still (its derivative falls to about s^2 / d), and there an
    # inverse loses its digits. A slope relative to the flatter neighbour cannot do that.
    return 2.0 * torch.exp(log_factors) / (inverse_left + inverse_right)


def _ends(value: Tensor, table: Tensor, axis: int) -> tuple[Knot, Knot]:
    """The knots of each value's bin; ``table`` ``(K + 1, 3, ...)`` holds the knots' positions, values and slopes."""
    return at_ends(table, find_bin(value, table[:, axis]))


def _forward(x: Tensor, left: Knot, right: Knot) -> tuple[Tensor, Tensor]:
    """Value and log-derivative between two knots."""
    (x0, y0, d0), (x1, y1, d1) = left, right
    width, height = x1 - x0, y1 - y0
    slope = height / width
    t = (x - x0) / width
    u = t * (1.0 - t)
    z = y0 + height * (slope * t * t + d0 * u) / (slope + (d0 + d1 - 2.0 * slope) * u)
    return z, _log_derivative(t, slope, d0, d1)


def _inverse(z: Tensor, left: Knot, right: Knot) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`_forward` and its log-derivative."""
    (x0, y0, d0), (x1, y1, d1) = left, right
    width, height = x1 - x0, y1 - y0
    slope = height / width
    rise = (z - y0) / height
    bend = rise * (d0 + d1 - 2.0 * slope)
    a, b = slope - d0 + bend, d0 - bend
    # Of the two forms of the root, this one divides by a sum in which nothing cancels for the wanted root.
    root = torch.sqrt((b * b + 4.0 * a * slope * rise).clamp_min(MIN_DISCRIMINANT))
    t = 2.0 * slope * rise / (b + root)
    return x0 + width * t, -_log_derivative(t, slope, d0, d1)


def _log_derivative(t: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    u = t * (1.0 - t)
    numerator = d1 * t * t + 2.0 * slope * u + d0 * (1.0 - t) * (1.0 - t)
    denominator = slope + (d0 + d1 - 2.0 * slope) * u
    return torch.log(numerator) + 2.0 * torch.log(slope / denominator)
