"""Lists of tensors worked on in one call: a flow has many small weights, each worth less than a call."""

from __future__ import annotations

import torch
from torch import Tensor


def lerp_(tensors: list[Tensor], ends: list[Tensor], weight: float) -> None:
    """Move each tensor in place to ``tensor + weight (end - tensor)``."""
    torch._foreach_lerp_(tensors, ends, weight)


def scale_(tensors: list[Tensor], factor: float) -> None:
    """Multiply each tensor in place."""
    torch._foreach_mul_(tensors, factor)


def divided(tensors: list[Tensor], divisor: float) -> list[Tensor]:
    """Each tensor divided by a number."""
    return list(torch._foreach_div(tensors, divisor))


def norms(tensors: list[Tensor], order: float = 2.0) -> Tensor:
    """The norm of each tensor, ``(len(tensors),)``.

    Example:
        >>> norms([torch.tensor([3.0, 4.0]), torch.ones(4)]), norms([torch.tensor([3.0, -4.0])], torch.inf)
        (tensor([5., 2.]), tensor([4.]))
    """
    return torch.stack(torch._foreach_norm(tensors, order))
