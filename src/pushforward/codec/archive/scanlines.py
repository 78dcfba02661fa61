"""The rows of a PNG file's pixels: their filters, and how samples of few bits are packed.

Source: Boutell et al. (2003), Portable Network Graphics (PNG) Specification, second edition, section 9.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import CodecError

Rows = NDArray[np.uint8]
FILTERS = 5
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(FILTERS)
_PIECE = 2**20
"""Bytes of rows that are filtered at a time."""
RULES = (
    (_NONE,),
    (_NONE, _UP, _SUB, _AVERAGE, _PAETH),
    (_NONE, _UP, _SUB, _PAETH),
    (_NONE, _SUB, _UP, _AVERAGE, _PAETH),
)
"""The filters that programs try, of equally good ones the first: palettes by any, Pillow's best and usual, libpng."""


def unfilter(filtered: Rows, filters: NDArray[np.uint8], unit: int) -> Rows:
    """Rows (height, bytes) from filtered ones; ``unit`` is how many bytes a pixel has, at least 1.

    A byte hangs on those left of it, above it and between these, so that all of one diagonal are found at once.
    """
    height, length = filtered.shape
    width = length // unit
    if not height or not width:
        return filtered.copy()
    # A border of zeros on the left and above; a diagonal is a slice of the flattened picture with steps of its width.
    bordered = np.zeros((height + 1, width + 1, unit), np.uint8)
    flat, given = bordered.reshape(-1, unit), filtered.reshape(height * width, unit)
    kinds = filters[:, None]
    for diagonal in range(height + width - 1):
        first, last = max(0, diagonal - width + 1), min(height, diagonal + 1)
        start = (first + 1) * (width + 1) + diagonal - first + 1
        stop = start + (last - first - 1) * width + 1
        left, above, corner = (flat[start - back : stop - back : width] for back in (1, width + 1, width + 2))
        place = first * width + diagonal - first
        # With one column the steps of the given rows would be of no length.
        steps = slice(place, place + (last - first - 1) * (width - 1) + 1, max(width - 1, 1))
        flat[start:stop:width] = given[steps] + np.choose(
            kinds[first:last], [_predicted(kind, left, above, corner) for kind in range(FILTERS)]
        )
    return np.ascontiguousarray(bordered[1:, 1:]).reshape(height, length)


def filter_all(rows: Rows, unit: int) -> NDArray[np.uint8]:
    """The rows through each of the filters, (filters, height, bytes)."""
    height, length = rows.shape
    out = np.empty((FILTERS, height, length), np.uint8)
    step = max(1, _PIECE // max(length, 1))
    for start in range(0, height, step):
        block = rows[start : start + step]
        left, above, corner = (np.zeros_like(block) for _ in range(3))
        above[max(0, 1 - start) :] = rows[max(0, start - 1) : start + len(block) - 1]
        left[:, unit:], corner[:, unit:] = block[:, :-unit], above[:, :-unit]
        for kind in range(FILTERS):
            out[kind, start : start + step] = block - _predicted(kind, left, above, corner)
    return out


def usual_filters(filtered: NDArray[np.uint8], rule: int) -> NDArray[np.uint8]:
    """The filter that a rule chooses for each row: of its filters the one with the least sum of signed differences."""
    tried = RULES[rule]
    sums = np.stack([np.minimum(filtered[kind], 0 - filtered[kind]).sum(-1, dtype=np.int64) for kind in tried])
    return np.array(tried, np.uint8)[sums.argmin(0)]


def find_rule(filtered: NDArray[np.uint8], filters: NDArray[np.uint8]) -> int:
    """The rule that chooses these filters in the most rows."""
    hits = [int((usual_filters(filtered, rule) == filters).sum()) for rule in range(len(RULES))]
    return hits.index(max(hits))


def _predicted(kind: int, left: Rows, above: Rows, corner: Rows) -> Rows:
    """What a filter takes from each byte, by the bytes left of it, above it and between these."""
    if kind == _SUB:
        return left
    if kind == _UP:
        return above
    if kind == _AVERAGE:
        return ((left.astype(np.uint16) + above) >> 1).astype(np.uint8)
    return _paeth(left, above, corner) if kind == _PAETH else np.zeros_like(left)


def _paeth(left: Rows, above: Rows, corner: Rows) -> Rows:
    """Of the three bytes the one nearest to ``left + above - corner``, of equally near ones the first."""
    to_left, to_above = above.astype(np.int16) - corner, left.astype(np.int16) - corner
    to_corner = abs(to_left + to_above)
    to_left, to_above = abs(to_left), abs(to_above)
    other = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, other)


def to_samples(rows: Rows, width: int, depth: int, channels: int) -> NDArray[Any]:
    """Rows of bytes as samples (height, width) or (height, width, channels), of 16 bits in the file's order."""
    height = len(rows)
    if depth < 8:
        bits = np.unpackbits(rows, axis=1).reshape(height, -1, depth)
        weights = 1 << np.arange(depth - 1, -1, -1, dtype=np.uint8)
        return (bits * weights).sum(-1, dtype=np.uint8)[:, :width]
    samples = rows.view(">u2") if depth == 16 else rows
    return samples.reshape((height, width) if channels == 1 else (height, width, channels))


def to_rows(samples: NDArray[Any], depth: int) -> Rows:
    """Undo :func:`to_samples`; what is left of a row's last byte is zero.

    Raises:
        CodecError: if a sample has more bits than the picture.
    """
    height = len(samples)
    if depth >= 8:
        return np.ascontiguousarray(samples).reshape(height, -1).view(np.uint8)
    if samples.size and int(samples.max()) >= 1 << depth:
        raise CodecError("the file is damaged: a pixel has more bits than its picture")
    shifts = np.arange(depth - 1, -1, -1, dtype=np.uint8)
    bits = (samples[..., None] >> shifts & 1).reshape(height, -1)
    return np.packbits(bits, axis=1)
