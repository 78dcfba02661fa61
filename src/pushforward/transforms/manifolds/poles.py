r"""Monotone maps of the height of a sphere's points, exact at both poles.

On the cylinder a pole is a circle, and what leads there and back divides by how far a point is from it. Here the height
is measured from the nearer pole as the cap's share ``t = (1 - |height|) / 2`` of the axis, of which no digit is lost,
and what is divided, ``t' / t``, is a smooth function of its own: values, log-densities and their gradients are finite
and continuous across the poles.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.numerics import bounded
from pushforward.parts import Part
from pushforward.scalar.splines.box import at_ends, bin_sizes, check_box, knots, planes
from pushforward.scalar.splines.rational_quadratic import (
    MAX_LOG_KNOT_SLOPE,
    forward_in_bin,
    inverse_in_bin,
    knot_slopes,
)


class Cap(NamedTuple):
    """Where points of a sphere are as seen from the nearer pole.

    Attributes:
        share: the axis between the point's height and the pole, as a share of its whole length; at most 1/2.
        south: whether the nearer pole is the south pole.
    """

    share: Tensor
    south: Tensor


class Moved(NamedTuple):
    """What becomes of a cap.

    Attributes:
        share: that of the image, from the same pole.
        stretch: the image's share over the share, its limit at the pole.
        log_slope: the logarithm of the share's derivative.
    """

    share: Tensor
    stretch: Tensor
    log_slope: Tensor


class HeightSpline(Part):
    r"""A rational-quadratic spline of the heights ``[-1, 1]`` of a sphere, with free slopes at the two poles.

    Parameters, ``3 * bins + 1`` in this order, from the north pole down: ``bins`` log-widths, ``bins`` log-slopes of
    the bins, ``bins + 1`` log-slopes of the knots relative to the harmonic mean of the bins beside them; bounded as in
    :class:`pushforward.scalar.RationalQuadraticSpline`. Zeros give the identity.

    Args:
        bins: the number of bins, at least 2.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032; on intervals Rezende et al. (2020),
    arXiv:2002.02428.

    Example:
        >>> spline = HeightSpline(4)
        >>> pole = Cap(torch.zeros(1), torch.tensor([False]))
        >>> moved = spline.forward(pole, torch.randn(1, spline.num_parameters))
        >>> moved.share.item(), bool(moved.stretch.log() == moved.log_slope)
        (0.0, True)
    """

    def __init__(self, bins: int = 8) -> None:
        check_box("HeightSpline", bins, 1.0)
        self.bins = bins
        self.num_parameters = 3 * bins + 1
        # Seen from the south pole the bins and knots come in the other order.
        self._backwards = [
            *range(bins - 1, -1, -1),
            *range(2 * bins - 1, bins - 1, -1),
            *range(3 * bins, 2 * bins - 1, -1),
        ]

    def forward(self, cap: Cap, parameters: Tensor) -> Moved:
        """Return the image of caps, given parameters ``cap.share.shape + (P,)``."""
        left, right = self._knots(cap, 0, parameters)
        share, log_slope = forward_in_bin(cap.share, left, right)
        return Moved(share, _stretch(cap.share, share, left, right), log_slope)

    def inverse(self, cap: Cap, parameters: Tensor) -> Moved:
        """Return what caps are the image of."""
        left, right = self._knots(cap, 1, parameters)
        share, log_slope = inverse_in_bin(cap.share, left, right)
        return Moved(share, 1.0 / _stretch(share, cap.share, left, right), log_slope)

    def _knots(self, cap: Cap, axis: int, parameters: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        mirrored = torch.where(cap.south[..., None], parameters[..., self._backwards], parameters)
        raw_widths, raw_slopes, raw_knots = planes(mirrored).split([self.bins, self.bins, self.bins + 1])
        sizes = bin_sizes(raw_widths, raw_slopes, 0.5)
        inverse_slopes = sizes[:, 0] / sizes[:, 1]
        above, below = torch.cat([inverse_slopes[:1], inverse_slopes]), torch.cat([inverse_slopes, inverse_slopes[-1:]])
        slopes = knot_slopes(bounded(raw_knots, MAX_LOG_KNOT_SLOPE), above, below)
        return at_ends([*(knots(sizes, 0.5) + 0.5).unbind(1), slopes], axis, cap.share)


def _stretch(share: Tensor, image: Tensor, left: list[Tensor], right: list[Tensor]) -> Tensor:
    """``image / share``; in the bin at the pole, where both may be zero, the spline's quotient divided through."""
    (x0, y0, d0), (x1, y1, d1) = left, right
    at_pole = x0 == 0
    width, slope = x1 - x0, (y1 - y0) / (x1 - x0)
    t = torch.where(at_pole, share, 0.0) / width
    divided = slope * (slope * t + d0 * (1.0 - t)) / (slope + (d0 + d1 - 2.0 * slope) * t * (1.0 - t))
    return torch.where(at_pole, divided, image / torch.where(at_pole, 1.0, share))
