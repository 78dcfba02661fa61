"""The length of a gradient, and its limit."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.kernels.foreach import divided, norms, scale_

# A factor below this would lose digits in float32, where numbers end at 1e-38.
_SMALLEST_FACTOR = 1e-30


def scaled_norm(gradients: list[Tensor]) -> float:
    r"""The Euclidean norm of all gradients together, ``m |g / m|`` with ``m`` the largest absolute value in them.

    The plain sum of squares overflows where a gradient is above 1e19 in float32; this one is finite wherever all the
    gradients are.

    Example:
        >>> round(scaled_norm([torch.tensor([3e25]), torch.tensor([4e25])]) / 1e25, 5)
        5.0
    """
    largest = norms(gradients, math.inf).max().item()
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * torch.linalg.vector_norm(norms(divided(gradients, largest))).item()


def clip_(gradients: list[Tensor], norm: float, limit: float) -> None:
    """Shorten gradients of length ``norm`` to the length ``limit`` in place, if they are longer.

    Example:
        >>> gradient = torch.tensor([3.0, 4.0])
        >>> clip_([gradient], 5.0, 1.0)
        >>> gradient
        tensor([0.6000, 0.8000])
    """
    if norm <= limit:
        return
    factor = limit / norm
    steps = 1 if factor > _SMALLEST_FACTOR else 2
    for _ in range(steps):
        scale_(gradients, factor ** (1 / steps))


def largest_limit(dtype: torch.dtype) -> float:
    """A length whose square is still finite, as Adam's second moment needs it."""
    return 1e-3 * math.sqrt(torch.finfo(dtype).max)
