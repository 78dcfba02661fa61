"""Pictures made of images: a grid of them."""

from __future__ import annotations

import math
import os

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.extras import requires
from pushforward.files import atomic_path, choose_writer

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
# Small images are magnified to about this many pixels, so that they can be seen.
_COMFORTABLE_SIZE = 56
_GAP = 2


def image_grid(
    images: Tensor, path: str | os.PathLike[str], *, maximum: float | None = None, columns: int | None = None
) -> None:
    """Write images ``(N, C, H, W)``, grey (C = 1) or coloured (C = 3), side by side into one picture.

    Args:
        images: values from 0 to ``maximum``, or of any range where that is None.
        path: where to, ``.png``, ``.jpg`` or ``.webp``.
        maximum: the value that is white; None stretches the range of the images over all greys.
        columns: images in a row; by default :func:`even_columns`.

    Raises:
        ShapeError: these are no grey or coloured images.
        UsageError: another ending.
        FileError: the file cannot be written.
    """
    with requires("plots", purpose="a grid of pictures"):
        from PIL import Image

    choose_writer(path, PICTURE_ENDINGS)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ShapeError(
            f"a picture is made of images (N, 1 or 3, H, W), got {tuple(images.shape)}; choose .npz instead"
        )
    page = page_of(images, maximum, columns or even_columns(len(images)))
    with atomic_path(path) as temporary:
        Image.fromarray(page[..., 0] if page.shape[-1] == 1 else page).save(temporary)


def even_columns(count: int) -> int:
    """Columns of a grid of so many images that leave no place empty, at most thrice as wide as it is high; where no
    such grid is, as for a large prime number, about as many columns as rows.

    Example:
        >>> [even_columns(count) for count in (1, 3, 10, 12, 64, 97)]
        [1, 3, 5, 4, 8, 10]
    """
    square = math.ceil(math.sqrt(count))
    widest = math.floor(math.sqrt(3 * count))
    return next((columns for columns in range(square, widest + 1) if count % columns == 0), square)


def page_of(images: Tensor, maximum: float | None, columns: int) -> np.ndarray:  # type: ignore[type-arg]
    """Images ``(N, C, H, W)`` side by side as bytes ``(height, width, C)``; arguments as in `image_grid`."""
    return _page(_bytes(images.detach().cpu().float(), maximum), columns)


def _bytes(images: Tensor, maximum: float | None) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if maximum is None:
        low, high = torch.aminmax(torch.nan_to_num(images))
        shares = (images - low) / (high - low).clamp(min=1e-12)
    else:
        shares = images / maximum
    return (torch.nan_to_num(shares).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _page(tiles: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], columns: int) -> np.ndarray:  # type: ignore[type-arg]
    count, height, width, channels = tiles.shape
    zoom = max(1, round(_COMFORTABLE_SIZE / max(height, width)))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    height, width = height * zoom + _GAP, width * zoom + _GAP
    columns = min(columns, count)
    page = np.full((math.ceil(count / columns) * height + _GAP, columns * width + _GAP, channels), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = _GAP + index // columns * height, _GAP + index % columns * width
        page[top : top + height - _GAP, left : left + width - _GAP] = tile
    return page


def mosaic(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return images ``(..., H, W)`` side by side in one nearly square picture, without gaps; blank where none is left.

    Example:
        >>> mosaic(np.arange(1, 13, dtype=np.uint8).reshape(3, 2, 2)).tolist()
        [[1, 2, 5, 6], [3, 4, 7, 8], [9, 10, 0, 0], [11, 12, 0, 0]]
    """
    height, width = images.shape[-2:]
    count = images.size // (height * width)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    tiles = np.zeros((rows * columns, height, width), images.dtype)
    tiles[:count] = images.reshape(count, height, width)
    return tiles.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
