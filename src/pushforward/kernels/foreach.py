"""Operations on many tensors at once, in a few calls: a loop over a flow's hundreds of weights costs more than its
arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor


def lerp_(tensors: list[Tensor], ends: list[Tensor], weight: float) -> None:
    """Move each tensor in place towards its end, ``a <- a + weight * (b - a)``.

    Example:
        >>> average = torch.zeros(2)
        >>> lerp_([average], [torch.ones(2)], 0.25)
        >>> average
        tensor([0.2500, 0.2500])
    """
    torch._foreach_lerp_(tensors, ends, weight)


def scale_(tensors: list[Tensor], factor: float) -> None:
    """Multiply each tensor in place by one factor."""
    torch._foreach_mul_(tensors, factor)


def divided(tensors: list[Tensor], divisor: float) -> list[Tensor]:
    """Return each tensor divided by one number."""
    return list(torch._foreach_div(tensors, divisor))


def norms(tensors: list[Tensor], order: float = 2.0) -> Tensor:
    """Return the norm of each tensor, in one tensor.

    Example:
        >>> norms([torch.tensor([3.0, 4.0]), torch.tensor([-2.0])])
        tensor([5., 2.])
    """
    return torch.stack(torch._foreach_norm(tensors, order))
