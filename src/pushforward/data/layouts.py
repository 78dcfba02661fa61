"""Arrays as people store them, brought to the layout that flows take: channels first, whole numbers as levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError

#: How many channels a picture may have behind its height and width.
_CHANNELS = (1, 3, 4)
# How far from a multiple of 1/255 a fraction may be that was one before it was stored in half or single precision.
_WHOLE = 0.05


def event_layout(name: str, x: NDArray[Any]) -> tuple[NDArray[Any], str | None]:
    """Rows ``(N, D)`` or images ``(N, C, H, W)``, and what was done to get them, None for nothing.

    ``(N, H, W)`` gets one channel; ``(N, H, W, C)`` with 1, 3 or 4 channels and a larger height and width becomes
    channels first, unless it is that already.

    Raises:
        DataError: not numbers, another number of dimensions, or no elements.

    Example:
        >>> x, note = event_layout("x.npy", np.zeros((5, 32, 32, 3)))
        >>> x.shape, note
        ((5, 3, 32, 32), 'x.npy: read as 5 pictures of 32x32 with 3 channels last')
    """
    if x.dtype.kind not in "iufb":
        raise DataError(f"{name}: expected numbers, got {x.dtype}")
    if x.ndim not in (2, 3, 4) or x.size == 0:
        raise DataError(f"{name}: expected (N, D), (N, H, W), (N, C, H, W) or (N, H, W, C), got shape {x.shape}")
    if x.ndim == 3:
        return x[:, None], None
    if x.ndim == 2 or x.shape[1] in _CHANNELS or x.shape[3] not in _CHANNELS or min(x.shape[1:3]) <= x.shape[3]:
        return x, None
    count, height, width, channels = x.shape
    note = f"{name}: read as {count:,} pictures of {width}x{height} with {channels} channel{'s' * (channels > 1)} last"
    return np.moveaxis(x, 3, 1), note


def fractions_as_levels(name: str, x: NDArray[Any], levels: int | None) -> tuple[NDArray[Any], int | None, str | None]:
    """Pictures stored as fractions 0..1 as whole numbers 0..levels-1, with the levels and what was done.

    Where ``levels`` is None, fractions that are all multiples of 1/255 have 256 levels; other data stay as they are.

    Raises:
        DataError: ``levels`` are told, and the data are neither whole numbers nor fractions 0..1.

    Example:
        >>> x, levels, note = fractions_as_levels("x.npy", np.array([0.0, 0.2, 1.0]), levels=6)
        >>> x.tolist(), note
        ([0.0, 1.0, 5.0], 'x.npy: fractions 0..1 are read as 6 levels')
    """
    if levels is None:
        return _recognised(name, x)
    if x.dtype.kind != "f" or np.array_equal(x, np.round(x)):
        return x, levels, None
    if not (x.min() >= 0 and x.max() <= 1):
        raise DataError(
            f"{name}: expected for {levels} levels whole numbers 0..{levels - 1} or fractions 0..1, got fractions "
            f"{x.min():g}..{x.max():g}; bring them to 0..1 first"
        )
    scaled = x * (levels - 1.0)
    whole = np.round(scaled)
    change = float(np.abs(scaled - whole).max())
    rounded = "" if change < _WHOLE else f", rounded by up to {change:.2f} of a level"
    return whole.astype(np.float32), levels, f"{name}: fractions 0..1 are read as {levels} levels{rounded}"


def _recognised(name: str, x: NDArray[Any]) -> tuple[NDArray[Any], int | None, str | None]:
    pictures = x.ndim == 4 and x.dtype.kind == "f"
    if not pictures or not (x.min() >= 0 and x.max() <= 1) or np.array_equal(x, np.round(x)):
        return x, None, None
    scaled = x * 255.0
    if not (np.abs(scaled - np.round(scaled)) < _WHOLE).all():
        return x, None, None
    return fractions_as_levels(name, x, 256)
