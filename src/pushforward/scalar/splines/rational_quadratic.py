"""Rational-quadratic splines on the line, with identity tails, and the formula that those on the circle share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.kernels.spline import computed_again, knots_around
from pushforward.kernels.spline_between import between_knots
from pushforward.kernels.spline_bins import Bins, Knots
from pushforward.numerics import bounded
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.splines.box import (
    MAX_LOG_SLOPE,
    MAX_LOG_WIDTH,
    at_ends,
    bin_sizes,
    check_box,
    inside_box,
    knots,
    planes,
    values_inside_box,
)
from pushforward.spaces import Interval

MAX_LOG_KNOT_SLOPE = 2.0
"""Bound on the logarithm of a knot's slope relative to the harmonic mean of its two bins' slopes."""

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
        check_box("RationalQuadraticSpline", bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 3 * bins - 1
        self.reach = Interval(-bound, bound)
        self._bins = Bins(bins, bound, MAX_LOG_WIDTH, MAX_LOG_SLOPE, MAX_LOG_KNOT_SLOPE)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        def mapping(x: Tensor) -> tuple[Tensor, Tensor]:
            return between_knots(forward_in_bin, x, *self._knots(x, 0, parameters))

        return computed_again(inside_box, x, self.bound, mapping)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        def mapping(z: Tensor) -> tuple[Tensor, Tensor]:
            return inverse_in_bin(z, *self._knots(z, 1, parameters))

        return computed_again(inside_box, z, self.bound, mapping)

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        def mapping(x: Tensor) -> Tensor:
            return encode_in_bin(x, *self._knots(x, 0, parameters))

        return computed_again(values_inside_box, x, self.bound, mapping)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        def mapping(z: Tensor) -> Tensor:
            return decode_in_bin(z, *self._knots(z, 1, parameters))

        return computed_again(values_inside_box, z, self.bound, mapping)

    def _knots(self, value: Tensor, axis: int, parameters: Tensor) -> Knots:
        return knots_around(self._textbook_knots, value, axis, parameters, self._bins)

    def _textbook_knots(self, value: Tensor, axis: int, parameters: Tensor) -> Knots:
        """The knots of the bin that holds each value, along the positions (``axis`` 0) or along the values (1)."""
        raw_widths, raw_slopes, raw_knot_slopes = planes(parameters).split([self.bins, self.bins, self.bins - 1])
        sizes = bin_sizes(raw_widths, raw_slopes, self.bound)
        inverse_slopes = sizes[:, 0] / sizes[:, 1]
        end = torch.ones_like(inverse_slopes[:1])
        log_factors = bounded(raw_knot_slopes, MAX_LOG_KNOT_SLOPE)
        slopes = torch.cat([end, knot_slopes(log_factors, inverse_slopes[:-1], inverse_slopes[1:]), end])
        return at_ends([*knots(sizes, self.bound).unbind(1), slopes], axis, value)


def knot_slopes(log_factors: Tensor, inverse_left: Tensor, inverse_right: Tensor) -> Tensor:
    """A knot's slope: the harmonic mean of the slopes of the bins beside it times a bounded factor."""
    # A steep knot makes the inside of a flat bin flatter still (its derivative falls to about s^2 / d), and there an
    # inverse loses its digits. A slope relative to the flatter neighbour cannot do that.
    return 2.0 * torch.exp(log_factors) / (inverse_left + inverse_right)


class _Bin(NamedTuple):
    x0: Tensor
    y0: Tensor
    width: Tensor
    height: Tensor
    slope: Tensor
    d0: Tensor
    d1: Tensor


def _between(left: Sequence[Tensor], right: Sequence[Tensor]) -> _Bin:
    (x0, y0, d0), (x1, y1, d1) = left, right
    width, height = x1 - x0, y1 - y0
    return _Bin(x0, y0, width, height, height / width, d0, d1)


def forward_in_bin(x: Tensor, left: Sequence[Tensor], right: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Value and log-derivative between two knots."""
    here = _between(left, right)
    t = (x - here.x0) / here.width
    u, denominator = _shared(t, here)
    return _value(t, u, denominator, here), _log_derivative(t, u, denominator, here)


def inverse_in_bin(z: Tensor, left: Sequence[Tensor], right: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`forward_in_bin` and its log-derivative."""
    here = _between(left, right)
    t = _root(z, here)
    return here.x0 + here.width * t, -_log_derivative(t, *_shared(t, here), here)


def encode_in_bin(x: Tensor, left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """The value of :func:`forward_in_bin`."""
    here = _between(left, right)
    t = (x - here.x0) / here.width
    return _value(t, *_shared(t, here), here)


def decode_in_bin(z: Tensor, left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """The value of :func:`inverse_in_bin`."""
    here = _between(left, right)
    return here.x0 + here.width * _root(z, here)


def _shared(t: Tensor, here: _Bin) -> tuple[Tensor, Tensor]:
    """``u`` and the denominator, of the value and of the derivative alike."""
    u = t * (1.0 - t)
    return u, here.slope + (here.d0 + here.d1 - 2.0 * here.slope) * u


def _value(t: Tensor, u: Tensor, denominator: Tensor, here: _Bin) -> Tensor:
    return here.y0 + here.height * (here.slope * t * t + here.d0 * u) / denominator


def _root(z: Tensor, here: _Bin) -> Tensor:
    """The share of the bin's width at which its value is reached."""
    rise = (z - here.y0) / here.height
    bend = rise * (here.d0 + here.d1 - 2.0 * here.slope)
    a, b = here.slope - here.d0 + bend, here.d0 - bend
    # Of the two forms of the root, this one divides by a sum in which nothing cancels for the wanted root.
    root = torch.sqrt((b * b + 4.0 * a * here.slope * rise).clamp_min(MIN_DISCRIMINANT))
    return 2.0 * here.slope * rise / (b + root)


def _log_derivative(t: Tensor, u: Tensor, denominator: Tensor, here: _Bin) -> Tensor:
    numerator = here.d1 * t * t + 2.0 * here.slope * u + here.d0 * (1.0 - t) * (1.0 - t)
    return torch.log(numerator) + 2.0 * torch.log(here.slope / denominator)
