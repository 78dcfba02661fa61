"""Derivatives by finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

STEP = 1e-6


def difference(moved: Sequence[Tensor], directions: Sequence[Tensor], value: Callable[[], Tensor]) -> Tensor:
    """Return the central difference of what ``value`` computes, in a direction of tensors that it reads.

    Example:
        >>> x = torch.tensor(3.0, dtype=torch.float64)
        >>> round(difference([x], [torch.ones_like(x)], lambda: x**2).item(), 6)
        6.0
    """
    found = []
    with torch.no_grad():
        kept = [each.clone() for each in moved]
        for sign in (1, -1):
            for each, before, direction in zip(moved, kept, directions, strict=True):
                each.copy_(before + sign * STEP * direction)
            found.append(value())
        for each, before in zip(moved, kept, strict=True):
            each.copy_(before)
    return (found[0] - found[1]) / (2 * STEP)
