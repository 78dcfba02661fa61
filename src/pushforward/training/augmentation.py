"""Augmentation: more training images from the ones there are."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError


def shifted(images: Tensor, pixels: int, share: float = 0.5) -> Tensor:
    """Move each image by up to ``pixels`` rows and columns, the edge repeated; about ``share`` of them are moved.

    A model of few images fits their exact places; it forgets them this way, and since most images still stay where they
    are, the density learned is still that of the data.

    Args:
        images: ``(N, C, H, W)``.
        pixels: the largest shift; 0 returns the images.
        share: the part of the images that is moved.

    Raises:
        UsageError: if these are no images.

    Example:
        >>> image = torch.eye(4)[None, None]
        >>> shifted(image, 1, share=1.0).shape
        torch.Size([1, 1, 4, 4])
    """
    if pixels == 0:
        return images
    if images.dim() != 4:
        raise UsageError(f"shift expects images (N, C, H, W), got shape {tuple(images.shape)}: leave it at 0")
    moved = torch.rand(len(images), 1) < share
    offsets = torch.randint(-pixels, pixels + 1, (len(images), 2)) * moved
    rows, columns = (
        (torch.arange(size) + offset[:, None]).clamp(0, size - 1).to(images.device)
        for size, offset in zip(images.shape[-2:], offsets.unbind(1))
    )
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    # Advanced indices put their dimensions (N, H, W) first and the channels last.
    return images[batch, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
