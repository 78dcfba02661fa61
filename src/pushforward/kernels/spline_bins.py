"""What is known of the bins of a rational-quadratic spline, in the words of
:mod:`pushforward.scalar.splines.rational_quadratic`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Knots = tuple[list[Tensor], list[Tensor]]
"""The left and the right knot of each value's bin: position, value and slope."""


@dataclass(frozen=True)
class Bins:
    """What the bins of a spline are bounded by.

    Attributes:
        count: how many there are.
        bound: half the width of the box.
        max_log_width: bound on a bin's raw log-width.
        max_log_slope: bound on a bin's raw log-slope.
        max_log_knot_slope: bound on a knot's raw log-slope.
    """

    count: int
    bound: float
    max_log_width: float
    max_log_slope: float
    max_log_knot_slope: float


def knot_slope(log_factor: Tensor, inverse_left: Tensor, inverse_right: Tensor) -> Tensor:
    """A knot's slope, the harmonic mean of the slopes of the bins beside it times a factor."""
    return 2.0 * torch.exp(log_factor) / (inverse_left + inverse_right)
