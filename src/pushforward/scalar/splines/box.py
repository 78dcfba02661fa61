"""What every spline shares: bins from unconstrained parameters, finding a value's bin, and the box with identity tails.

Networks emit anything, so the bins and slopes are bounded *smoothly* before they are used: a round trip through a map
whose derivative is ``d`` loses ``log10(1 / d)`` digits, and float32 has seven. The slope of a bin is therefore bounded
itself (a height only relative to its width), not by a smallest width and a smallest height, whose quotient is far
more extreme than either.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.numerics import bounded
from pushforward.scalar.arguments import check_counts, check_positive

MAX_LOG_WIDTH = 3.0
"""Bound on a bin's raw log-width: with 8 bins every width is above 1/2800 of the box."""

MAX_LOG_SLOPE = 2.0
"""Bound on a bin's raw log-slope: after normalisation every bin's slope lies between exp(-4) and exp(4)."""


def check_box(owner: str, bins: int, bound: float) -> None:
    """Raise UsageError unless there are two bins or more and the box is not empty."""
    check_counts(owner, least=2, bins=bins)
    check_positive(owner, bound=bound)


def planes(parameters: Tensor) -> Tensor:
    """The parameters with their own dimension first, ``(P, ...)``.

    A spline sums and searches along its bins. As the first dimension of contiguous memory they make long vector
    operations; as the last one, eight numbers each.
    """
    return parameters.movedim(-1, 0).contiguous()


def bin_sizes(raw_widths: Tensor, raw_slopes: Tensor, bound: float) -> Tensor:
    """Widths and heights ``(K, 2, ...)`` of the bins, each adding up to ``2 * bound``, from ``(K, ...)`` each.

    A bin's height is proportional to its width times ``exp(bounded raw slope)``. Widths and heights are one softmax:
    the heights' logits are the widths' plus the log-slopes.
    """
    log_widths = bounded(raw_widths, MAX_LOG_WIDTH)
    log_heights = log_widths + bounded(raw_slopes, MAX_LOG_SLOPE)
    return shares(torch.stack([log_widths, log_heights], 1)) * (2.0 * bound)


def shares(logits: Tensor) -> Tensor:
    """The softmax over the first dimension of logits that are bounded: no maximum needs to be taken off them."""
    weights = torch.exp(logits)
    return weights / weights.sum(0, keepdim=True)


def knots(sizes: Tensor, bound: float) -> Tensor:
    """The ``K + 1`` knots ``(K + 1, ...)`` from ``-bound`` to ``bound`` exactly, from sizes ``(K, ...)``."""
    end = torch.full_like(sizes[:1], bound)
    return torch.cat([-end, sizes[:-1].cumsum(0) - bound, end])


def find_bin(value: Tensor, positions: Tensor) -> Tensor:
    """The index of the bin that holds each value, from the knots ``(K + 1,) + value.shape``."""
    return (value >= positions[1:-1]).sum(0)


def at_ends(table: list[Tensor], axis: int, value: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What each of the table's columns, ``(K + 1,) + value.shape``, has at the left and at the right knot of each
    value's bin, which is found along the column ``axis``."""
    left = find_bin(value, table[axis]).unsqueeze(0)
    right = left + 1
    return [c.gather(0, left).squeeze(0) for c in table], [c.gather(0, right).squeeze(0) for c in table]


def inside_box(
    value: Tensor, bound: float, mapping: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Apply ``mapping`` (value to value and log-derivative) inside the box and the identity outside it."""
    # The mapping sees only values of the box, so that the branch not taken cannot send a NaN into the gradient.
    mapped, log_derivative = mapping(value.clamp(-bound, bound))
    inside = (value > -bound) & (value < bound)
    return torch.where(inside, mapped, value), torch.where(inside, log_derivative, torch.zeros_like(log_derivative))


def values_inside_box(value: Tensor, bound: float, mapping: Callable[[Tensor], Tensor]) -> Tensor:
    """The same for a ``mapping`` of value to value."""
    mapped = mapping(value.clamp(-bound, bound))
    return torch.where((value > -bound) & (value < bound), mapped, value)
