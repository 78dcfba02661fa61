"""Images whose rows are shifted, each by one pixel more than the row above, so that diagonals become columns."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def skew(x: Tensor) -> Tensor:
    """Shift row ``i`` of ``(..., H, W)`` right by ``i`` pixels, ``(..., H, W + H - 1)``, with zeros beside it.

    Example:
        >>> import torch
        >>> skew(torch.tensor([[1, 2], [3, 4]]))
        tensor([[1, 2, 0],
                [0, 3, 4]])
    """
    height, width = x.shape[-2:]
    # Rows longer by H read as rows longer by H - 1: each begins a pixel earlier.
    padded = F.pad(x, (0, height)).flatten(-2)
    return padded[..., : height * (width + height - 1)].unflatten(-1, (height, width + height - 1))


def unskew(x: Tensor) -> Tensor:
    """The inverse of :func:`skew`.

    Example:
        >>> import torch
        >>> unskew(skew(torch.tensor([[1, 2], [3, 4]])))
        tensor([[1, 2],
                [3, 4]])
    """
    height, longer = x.shape[-2:]
    return F.pad(x.flatten(-2), (0, height)).unflatten(-1, (height, longer + 1))[..., : longer + 1 - height]
