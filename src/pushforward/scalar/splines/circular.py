"""Rational-quadratic splines on the circle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.kernels.spline_bins import Knots
from pushforward.numerics import bounded
from pushforward.scalar.circles.base import CircleMap
from pushforward.scalar.splines.box import at_ends, bin_sizes, check_box, knots, planes
from pushforward.scalar.splines.rational_quadratic import (
    decode_in_bin,
    encode_in_bin,
    forward_in_bin,
    inverse_in_bin,
    knot_slopes,
)
from pushforward.spaces import Circle

MAX_LOG_KNOT_SLOPE = 1.0
"""Bound on the logarithm of a knot's slope relative to the harmonic mean of its two bins' slopes: half of that on the
line, since turning by the phase costs more of the last digits."""


class CircularRationalQuadraticSpline(CircleMap):
    r"""A rational-quadratic spline on the circle ``(-bound, bound)``, whose two ends are one point (Rezende et al.
    2020, Normalizing Flows on Tori and Spheres, arXiv:2002.02428).

    The angle is first shifted, ``y = wrap(x + phase)``, so that the spline's fixed point lies anywhere, then mapped by
    a spline with equal slopes at the two ends: the density is continuous around the circle. Inputs outside the box are
    wrapped into it; a flow checks its support first, and gives angles off the circle a ``log_prob`` of ``-inf``
    (:meth:`pushforward.spaces.Circle.wrap` brings them there).

    Parameters per element, ``3 * bins + 1`` in this order: ``bins`` log-widths, ``bins`` log-slopes of the bins,
    ``bins`` log-slopes of the knots (the first belongs to both ends), the phase; bounded as in
    :class:`RationalQuadraticSpline`.

    Args:
        bins: the number of bins, at least 2.
        bound: half the circumference, by default pi: the box is ``(-bound, bound)``.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 3 bins + 1``.

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
        check_box("CircularRationalQuadraticSpline", bins, bound)
        self.bins = bins
        self.bound = bound
        self.num_parameters = 3 * bins + 1
        self.domain = self.codomain = Circle((), -bound, bound)

    def lift(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        turned = x + self._phase(parameters)
        angle = self.domain.wrap(turned)
        z, log_dz = forward_in_bin(angle, *self._knots(angle, 0, parameters))
        return z + (turned - angle), log_dz

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        angle = self.domain.wrap(x + self._phase(parameters))
        return forward_in_bin(angle, *self._knots(angle, 0, parameters))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        angle = self.domain.wrap(z)
        x, log_dx = inverse_in_bin(angle, *self._knots(angle, 1, parameters))
        return self.domain.wrap(x - self._phase(parameters)), log_dx

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        angle = self.domain.wrap(x + self._phase(parameters))
        return encode_in_bin(angle, *self._knots(angle, 0, parameters))

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        angle = self.domain.wrap(z)
        return self.domain.wrap(decode_in_bin(angle, *self._knots(angle, 1, parameters)) - self._phase(parameters))

    def spread(self, copies: int) -> Tensor:
        offsets = super().spread(copies)
        # Knots between knots; what the phase turns is turned back where the copies are centred.
        offsets[:, -1] = (2.0 * self.bound / self.bins) * (torch.arange(copies) / copies - 0.5)
        return offsets

    def _phase(self, parameters: Tensor) -> Tensor:
        return bounded(parameters[..., -1], self.bound)

    def _knots(self, value: Tensor, axis: int, parameters: Tensor) -> Knots:
        """The knots of the bin that holds each value, along the positions (``axis`` 0) or along the values (1)."""
        raw_widths, raw_slopes, raw_knot_slopes, _ = planes(parameters).split([self.bins, self.bins, self.bins, 1])
        sizes = bin_sizes(raw_widths, raw_slopes, self.bound)
        inverse_slopes = sizes[:, 0] / sizes[:, 1]
        log_factors = bounded(raw_knot_slopes, MAX_LOG_KNOT_SLOPE)
        slopes = knot_slopes(log_factors, inverse_slopes.roll(1, 0), inverse_slopes)
        return at_ends([*knots(sizes, self.bound).unbind(1), torch.cat([slopes, slopes[:1]])], axis, value)
