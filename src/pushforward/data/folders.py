"""A folder of pictures, all of one size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Dataset, split
from pushforward.data.pictures import Pixels, levels_of, read_picture
from pushforward.data.sources import require_folder
from pushforward.errors import DataError

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")


def load_image_folder(folder: str | os.PathLike[str]) -> Dataset:
    """Every picture below ``folder``, by name: ``(1, H, W)`` if all are grey, ``(4, H, W)`` if one is transparent, else
    ``(3, H, W)``.

    They have as many levels as they are stored in, 2, 256 or 65536, and are split 80/10/10.

    Raises:
        DataError: no pictures, one that cannot be read without loss, differing sizes or depths.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in range(10):
        ...         Image.new("L", (6, 4)).save(f"{folder}/{number}.png")
        ...     data = load_image_folder(folder)
        >>> data.event_shape, len(data.train)
        ((1, 4, 6), 8)
    """
    place = require_folder(folder)
    paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in _ENDINGS and path.is_file())
    if not paths:
        raise DataError(f"{place}: no pictures in it (looked for {', '.join(_ENDINGS)})")
    pictures = [read_picture(path) for path in paths]
    size = pictures[0].shape[1:]
    for path, picture in zip(paths, pictures):
        if picture.shape[1:] != size:
            raise DataError(
                f"{path}: pictures must share one size; this one is {picture.shape[2]}x{picture.shape[1]}, "
                f"{paths[0].name} is {size[1]}x{size[0]}"
            )
    levels = _common_levels(paths, pictures)
    channels = max(len(picture) for picture in pictures)
    stacked = np.stack([_with_channels(_with_levels(picture, levels), channels) for picture in pictures])
    notes = ("some pictures are transparent: each has 4 channels, the last one opacity",) if channels == 4 else ()
    return split(place.name, stacked, levels=levels, notes=notes)


def _common_levels(paths: list[Path], pictures: list[Pixels]) -> int:
    found = [levels_of(picture) for picture in pictures]
    if 65536 in found and min(found) < 65536:
        deep, flat = paths[found.index(65536)], paths[found.index(min(found))]
        raise DataError(f"{deep}: pictures must share one depth; this one has 16 bits, {flat.name} has fewer")
    return max(found)


def _with_levels(picture: Pixels, levels: int) -> NDArray[Any]:
    """Black and white as 0 and the highest level."""
    return picture * np.uint8(levels - 1) if picture.dtype == np.bool_ else picture


def _with_channels(picture: NDArray[Any], channels: int) -> NDArray[Any]:
    """A grey picture among coloured ones repeats its channel; one without transparency is opaque."""
    if len(picture) == channels:
        return picture
    colours = np.broadcast_to(picture, (3, *picture.shape[1:]))
    return colours if channels == 3 else np.concatenate([colours, np.full_like(colours[:1], 255)])
