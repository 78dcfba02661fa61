"""A folder of pictures, all of one size."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from pushforward.data.dataset import Dataset, split
from pushforward.data.sources import require_folder
from pushforward.errors import DataError
from pushforward.extras import requires

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def load_image_folder(folder: str | os.PathLike[str]) -> Dataset:
    """Every picture below ``folder``, by name, as ``(1, H, W)`` if all are grey, else ``(3, H, W)``.

    They have 256 levels and are split 80/10/10.

    Raises:
        DataError: no pictures, an unreadable one, or differing sizes.
    """
    place = require_folder(folder)
    paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in _ENDINGS)
    if not paths:
        raise DataError(f"{place}: no pictures in it (looked for {', '.join(_ENDINGS)})")
    pictures = [read_picture(path) for path in paths]
    channels = max(len(picture) for picture in pictures)
    size = pictures[0].shape[1:]
    for path, picture in zip(paths, pictures):
        if picture.shape[1:] != size:
            raise DataError(
                f"{path}: pictures must share one size; this one is {picture.shape[2]}x{picture.shape[1]}, "
                f"{paths[0].name} is {size[1]}x{size[0]}"
            )
    # A single-channel picture among coloured ones repeats its channel.
    stacked = np.stack([np.broadcast_to(picture, (channels, *size)) for picture in pictures])
    return split(place.name, stacked, levels=256)


def read_picture(path: str | os.PathLike[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One picture as bytes ``(1, H, W)`` (grey) or ``(3, H, W)`` (colour; transparency is dropped).

    Raises:
        DataError: it cannot be read.
    """
    with requires("data", purpose="reading a picture"):
        from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.load()
            grey = image.mode in ("1", "L", "LA")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: not a readable picture ({error})") from error
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
