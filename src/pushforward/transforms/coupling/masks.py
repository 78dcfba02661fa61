"""Masks: which dimensions a coupling leaves alone (``True``) and which it changes (``False``)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError


def halves(features: int) -> Tensor:
    """The first half of a vector is kept, the second changed (NICE, arXiv:1410.8516).

    Example:
        >>> halves(5)
        tensor([ True,  True, False, False, False])
    """
    return torch.arange(features) < features // 2


def alternating(features: int) -> Tensor:
    """Every other dimension of a vector is kept, starting with the first.

    Example:
        >>> alternating(5)
        tensor([ True, False,  True, False,  True])
    """
    return torch.arange(features) % 2 == 0


def checkerboard(shape: Sequence[int]) -> Tensor:
    """Pixels are kept where row + column is odd, in every channel (RealNVP, arXiv:1605.08803).

    Example:
        >>> checkerboard((1, 2, 4)).int()
        tensor([[[0, 1, 0, 1],
                 [1, 0, 1, 0]]], dtype=torch.int32)
    """
    channels, height, width = _image(shape)
    odd = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 1
    return odd.expand(channels, height, width).clone()


def channel(shape: Sequence[int]) -> Tensor:
    """The first half of the channels is kept (RealNVP, arXiv:1605.08803).

    Example:
        >>> channel((3, 1, 1)).flatten()
        tensor([ True, False, False])
    """
    channels, height, width = _image(shape)
    return (torch.arange(channels) < channels // 2)[:, None, None].expand(channels, height, width).clone()


def top_bottom(shape: Sequence[int]) -> Tensor:
    """The top half of the rows is kept: a poor partition for images, as the lectures of Abbeel et al. (2024) show."""
    channels, height, width = _image(shape)
    return (torch.arange(height) < height // 2)[:, None].expand(channels, height, width).clone()


def left_right(shape: Sequence[int]) -> Tensor:
    """The left half of the columns is kept: a poor partition for images, as :func:`top_bottom`."""
    channels, height, width = _image(shape)
    return (torch.arange(width) < width // 2).expand(channels, height, width).clone()


def _image(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise UsageError(f"an image mask expects a shape (channels, height, width), got {tuple(shape)}")
    return shape[0], shape[1], shape[2]
