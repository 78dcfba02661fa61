"""One picture as an array in the depth that it is stored in, whatever its kind."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError
from pushforward.extras import requires

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.bool_]

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_COLOURED = ("P", "RGB", "RGBX", "YCbCr")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


def read_picture(path: str | os.PathLike[str]) -> Pixels:
    """One picture ``(C, H, W)``: grey ``C = 1``, colour 3, colour with transparency 4.

    Black and white are booleans, grey of 16 bits is 16 bits, all else are bytes; palettes become colours. A
    transparency that is nowhere used is left out.

    Raises:
        DataError: it cannot be read without loss: it is damaged, or its pixels are floats, in 16-bit colours, or in
            inks.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (6, 4)).save(f"{folder}/black.png")
        ...     read_picture(f"{folder}/black.png").shape
        (3, 4, 6)
    """
    with requires("data", purpose="reading a picture"):
        from PIL import Image

    try:
        with Image.open(path) as image:
            _check_depth(image)
            image.load()
            return _pixels(image)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        # Each of the decoders has errors of its own.
        raise DataError(f"{path}: not a readable picture ({' '.join(str(error).split()) or 'damaged'})") from error


def levels_of(pixels: Pixels) -> int:
    """How many values a pixel of a picture may take: 2, 256 or 65536."""
    return 2 if pixels.dtype == np.bool_ else 256**pixels.dtype.itemsize


def _pixels(image: Any) -> Pixels:
    mode = image.mode
    if mode == "1":
        return np.asarray(image)[None]
    if mode == "L" and "transparency" not in image.info:
        return np.asarray(image)[None]
    if mode in _SIXTEEN_BITS:
        return _sixteen_bits(np.asarray(image))[None]
    if mode in _TRANSPARENT or "transparency" in image.info:
        colours = np.asarray(image.convert("RGBA")).transpose(2, 0, 1)
        if (colours[3] < 255).any():
            return colours
        return colours[:1] if mode in ("L", "LA", "La") else colours[:3]
    if mode in _COLOURED:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    held = {"F": "floating-point pixels", "CMYK": "inks (CMYK), not colours"}.get(mode, f"pixels of kind {mode}")
    raise DataError(f"it holds {held}; convert it to 8 bits a channel, or 16 of grey, or give the array as .npy")


def _sixteen_bits(values: NDArray[Any]) -> NDArray[np.uint16]:
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise DataError(
            f"its pixels are {values.min()}..{values.max()}, more than 16 bits hold; give the array as .npy"
        )
    return values.astype(np.uint16)


def _check_depth(image: Any) -> None:
    """Refuse colours of more than 8 bits, which the decoder would cut to 8."""
    raw = [str(part) for tile in image.tile for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    deep = any(part.split(";")[-1].startswith("16") for part in raw if ";" in part) or (
        image.format == "PPM" and len(raw) > 1 and raw[1].isdigit() and int(raw[1]) > 255 and image.mode == "RGB"
    )
    if deep and image.mode not in _SIXTEEN_BITS:
        raise DataError("its colours have 16 bits a channel; convert it to 8 bits, or give the array as .npy")
