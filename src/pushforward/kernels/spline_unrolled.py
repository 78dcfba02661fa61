"""The knots of a value's bin without sums and searches along the bins, which the compiler could not fuse with what is
around."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from pushforward.kernels.spline_bins import Bins, Knots, knot_slope
from pushforward.numerics import bounded


def unrolled_knots(value: Tensor, axis: int, parameters: Tensor, bins: Bins) -> Knots:
    """The knots of the bin that holds each value, along the positions (``axis`` 0) or along the values (1)."""
    rows, units = _rows(parameters, bins)
    found, beyond = rows[0], []
    for this in rows[1:]:
        beyond.append(value >= this[axis] * units[axis] - bins.bound)
        found = [torch.where(beyond[-1], new, old) for new, old in zip(this, found)]
    left, right = _knots_of_bin(found, units, bins)
    one = torch.ones_like(value)
    left[2], right[2] = torch.where(beyond[0], left[2], one), torch.where(beyond[-1], one, right[2])
    return left, right


def _rows(parameters: Tensor, bins: Bins) -> tuple[list[list[Tensor]], tuple[Tensor, Tensor]]:
    """What :func:`_knots_of_bin` needs of each bin, and the units of all widths and of all heights."""
    count = bins.count
    raw = parameters.movedim(-1, 0).unbind(0)
    widths = [torch.exp(bounded(width, bins.max_log_width)) for width in raw[:count]]
    slopes = [torch.exp(bounded(slope, bins.max_log_slope)) for slope in raw[count : 2 * count]]
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
        [zero, *raw[2 * count :]],
        [*raw[2 * count :], zero],
    ]
    units = (2.0 * bins.bound / sum(widths, zero), 2.0 * bins.bound / sum(heights, zero))
    return [list(row) for row in zip(*columns)], units


def _knots_of_bin(found: list[Tensor], units: tuple[Tensor, Tensor], bins: Bins) -> Knots:
    """The left and the right knot, as if both were inner ones."""
    x, y, width, height, *slopes, raw_left, raw_right = found
    unit_x, unit_y = units
    before, here, after = (unit_x / (unit_y * slope) for slope in slopes)
    x0, y0 = x * unit_x - bins.bound, y * unit_y - bins.bound
    d0 = knot_slope(bounded(raw_left, bins.max_log_knot_slope), before, here)
    d1 = knot_slope(bounded(raw_right, bins.max_log_knot_slope), here, after)
    return [x0, y0, d0], [x0 + width * unit_x, y0 + height * unit_y, d1]
