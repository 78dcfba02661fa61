"""The pixels' stream of PNG files that Pillow wrote: its builds deflate with a library of their own (zlib-ng)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import CodecError
from pushforward.extras import requires

_FIRST = 2**14
"""Choices are numbered from here; smaller numbers are settings of zlib."""
_LEVELS = (-1, 9, *range(9))
_STRATEGIES = (-1, zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)
_CHOICES = tuple(product(_STRATEGIES, (False, True), _LEVELS))
_MODES = {(0, 1): "1", (0, 8): "L", (0, 16): "I;16", (2, 8): "RGB", (4, 8): "LA", (6, 8): "RGBA"}
_PALETTE = 3


def find_choice(stream: bytes, samples: NDArray[Any], depth: int, colour: int, levels: Sequence[int]) -> int | None:
    """The number of the options that give this bare stream, of the ``levels`` that its header lets be.

    None if none do, or Pillow is not at hand. Strategies but the default are not tried: each costs a whole encoding.
    """
    if depth < 8 and colour != _PALETTE and (colour, depth) not in _MODES:
        return None
    try:
        image = _image(samples, depth, colour)
    except (KeyError, ImportError, ValueError):
        return None
    for index in _likely(levels):
        if _save(image, depth, index) == stream:
            return _FIRST + index
    return None


def is_choice(number: int) -> bool:
    """Whether a number stands for options of Pillow."""
    return number >= _FIRST


def deflate(samples: NDArray[Any], depth: int, colour: int, number: int) -> bytes:
    """The bare stream that Pillow writes with these options.

    Raises:
        CodecError: if there are no such options, or Pillow writes no such pictures.
    """
    if number - _FIRST >= len(_CHOICES) or (colour != _PALETTE and (colour, depth) not in _MODES):
        raise CodecError("the file is damaged: a picture was written in an unknown way")
    return _save(_image(samples, depth, colour), depth, number - _FIRST)


@cache
def engine() -> str:
    """The version of Pillow and of what deflates in it."""
    with requires("codec", purpose="a PNG file that Pillow wrote"):
        from PIL import __version__, features

    return f"Pillow {__version__} (zlib-ng {features.version('zlib_ng')}, zlib {features.version('zlib')})"


def _likely(levels: Sequence[int]) -> list[int]:
    choices = [(-1, False, -1)] * (6 in levels) + [(-1, True, -1)] * (9 in levels)
    return [_CHOICES.index(choice) for choice in (*choices, *((-1, False, level) for level in levels))]


def _image(samples: NDArray[Any], depth: int, colour: int) -> Any:
    with requires("codec", purpose="a PNG file that Pillow wrote"):
        from PIL import Image

    if colour == _PALETTE:
        image = Image.frombytes("P", samples.shape[::-1], np.ascontiguousarray(samples).tobytes())
        image.putpalette(bytes(3 * 2**depth))
        return image
    mode = _MODES[colour, depth]
    if mode == "1":
        return Image.fromarray(samples.astype(bool))
    return Image.fromarray(np.ascontiguousarray(samples.astype(samples.dtype.newbyteorder("="))))


def _save(image: Any, depth: int, index: int) -> bytes:
    strategy, optimize, level = _CHOICES[index]
    stream = io.BytesIO()
    image.save(
        stream, "PNG", optimize=optimize, compress_level=level, compress_type=strategy, **_bits(image.mode, depth)
    )
    return _pixels(stream.getvalue())


def _bits(mode: str, depth: int) -> dict[str, int]:
    return {"bits": depth} if mode == "P" else {}


def _pixels(content: bytes) -> bytes:
    """The bare stream in a file that is whole."""
    parts, place = [], 8
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        if name == b"IDAT":
            parts.append(content[place + 8 : place + 8 + length])
        place += 12 + length
    return b"".join(parts)[2:-4]
