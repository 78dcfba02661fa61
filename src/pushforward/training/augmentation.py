"""Augmentation: more training images from the ones there are."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError


def shifted(images: Tensor, context: Tensor | None, pixels: int, share: float = 0.5) -> tuple[Tensor, Tensor | None]:
    """Move each image by up to ``pixels`` rows and columns, the edge repeated; about ``share`` of them are moved.

    A model of few images fits their exact places; it forgets them this way, and since most images still stay where they
    are, the density learned is still that of the data. A context that is an image of the same plane moves with its
    image; one without a plane, ``(N, F)`` or ``(N, C, 1, 1)``, holds for every pixel and stays.

    Args:
        images: ``(N, C, H, W)``.
        context: ``(N, ...)`` or None.
        pixels: the largest shift; 0 returns what was given.
        share: the part of the images that is moved.

    Raises:
        UsageError: if these are no images, or the context is an image of another plane.

    Example:
        >>> image = torch.eye(4)[None, None]
        >>> moved, context = shifted(image, 2 * image, 1, share=1.0)
        >>> moved.shape, bool((context == 2 * moved).all())
        (torch.Size([1, 1, 4, 4]), True)
    """
    if pixels == 0:
        return images, context
    if images.dim() != 4:
        raise UsageError(f"shift expects images (N, C, H, W), got shape {tuple(images.shape)}: leave it at 0")
    plane = images.shape[-2:]
    if context is not None and _has_plane(context) and context.shape[-2:] != plane:
        raise UsageError(
            f"shift expects image contexts of the images' plane {tuple(plane)}, got {tuple(context.shape[-2:])}: leave "
            "it at 0"
        )
    moved = torch.rand(len(images), 1) < share
    offsets = torch.randint(-pixels, pixels + 1, (len(images), 2)) * moved
    rows, columns = (
        (torch.arange(size) + offset[:, None]).clamp(0, size - 1).to(images.device)
        for size, offset in zip(plane, offsets.unbind(1))
    )
    if context is not None and _has_plane(context):
        context = _gathered(context, rows, columns)
    return _gathered(images, rows, columns), context


def _has_plane(context: Tensor) -> bool:
    return context.dim() == 4 and context.shape[-2:] != (1, 1)


def _gathered(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels of each image at its own ``rows`` ``(N, H)`` and ``columns`` ``(N, W)``."""
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    # Advanced indices put their dimensions (N, H, W) first and the channels last.
    return images[batch, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
