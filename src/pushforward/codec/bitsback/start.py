"""How a block begins: a few of its events are coded plainly, and what they leave on the stack are the bits that the
first draws of bits-back coding take."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec.bitsback.grid import GRID_BITS, Numbers
from pushforward.codec.bitsback.layers import NOISE
from pushforward.codec.entropy import AnsCoder
from pushforward.errors import CodecError

DRAWN = 256
"""Events of the flow's own from which the histograms are made."""

CANDIDATES = 2**10
"""Of so many first events those are coded plainly that lose least by it."""

LARGEST_COUNT = 2**12 - 1
"""The largest number of :class:`Schedule`."""

_SMOOTHING = 0.8
_KERNEL = (0.005, 0.01, 0.02, 0.93, 0.02, 0.01, 0.005)


def bits_to_begin(elements: int) -> float:
    """About how many bits an event takes off the stack before it puts any on: those of its places in their cells, and
    of the noise of the layer that they enter."""
    noise = math.log2(NOISE * math.sqrt(2 * math.pi * math.e)) + GRID_BITS
    return elements * (GRID_BITS + noise + 0.5)


class Schedule:
    """How many events are coded together, one batch after the other: as many as the stack has bits for.

    Each event needs bits of the stack to begin with, and leaves some more. ``plain`` events are coded without taking
    any; after ``n`` events so many as ``n / share`` can begin at a time.

    Example:
        >>> Schedule(plain=4, share=4).batches(20)
        [1, 1, 1, 1, 2, 2, 3, 3, 2]
    """

    def __init__(self, plain: int, share: int) -> None:
        self.plain, self.share = plain, share

    def batches(self, count: int) -> list[int]:
        """The sizes of the batches behind the plain events, of ``count`` in all."""
        sizes, done = [], self.plain
        while done < count:
            sizes.append(min(max(1, done // self.share), count - done))
            done += sizes[-1]
        return sizes

    def bounds(self, count: int) -> list[tuple[int, int]]:
        """The first event of each batch, and the one behind its last."""
        ends = list(accumulate(self.batches(count), initial=self.plain))
        return list(pairwise(ends))


class Histograms:
    """A histogram of each element by itself: what codes an event without taking bits off the stack.

    Values beyond the 256 that a histogram has are cut into so many ranges, in which all are alike.

    Args:
        events: integers ``(N, *event_shape)`` from 0 to ``levels - 1``, such as the flow draws itself.
        levels: how many values there are.
    """

    def __init__(self, events: Tensor, levels: int) -> None:
        self.shift = max(0, (levels - 1).bit_length() - 8)
        bins = (levels - 1 >> self.shift) + 1
        values = (events.flatten(1) >> self.shift).numpy()
        counts = np.stack([np.bincount(column, minlength=bins) for column in values.T]).astype(np.float64)
        smooth = np.stack([np.convolve(row, _KERNEL)[3:-3] for row in counts]) if bins > 1 else counts
        # Whole numbers: the entropy coder computes with them alike everywhere.
        self.weights = np.round(2**20 * (smooth + _SMOOTHING * min(1.0, 16 / bins)))

    def bits(self, events: Tensor) -> NDArray[np.float64]:
        """What each event takes."""
        shares = (self.weights + 1) / (self.weights + 1).sum(1, keepdims=True)
        values = (events.flatten(1) >> self.shift).numpy()
        taken = -np.log2(np.take_along_axis(shares, values.T, axis=1)).sum(0)
        return np.asarray(taken + self.shift * len(self.weights))

    def push(self, coder: AnsCoder, event: Tensor) -> None:
        """Encode one event."""
        values = event.reshape(-1).numpy()
        if self.shift:
            coder.push_uniform(values & (1 << self.shift) - 1, self._sizes())
        coder.push(values >> self.shift, self.weights)

    def pop(self, coder: AnsCoder) -> Numbers:
        """Decode what :meth:`push` encoded, without its shape."""
        values = coder.pop(self.weights).astype(np.int64)
        return (values << self.shift) + coder.pop_uniform(self._sizes()) if self.shift else values

    def _sizes(self) -> Numbers:
        return np.full(len(self.weights), 1 << self.shift, dtype=np.int64)


def plain_first(plain: list[int], count: int) -> Tensor:
    """The order in which ``count`` events are coded: the plain ones, then the others.

    >>> plain_first([2, 0], 4).tolist()
    [2, 0, 1, 3]
    """
    others = torch.ones(count, dtype=torch.bool)
    others[plain] = False
    return torch.cat([torch.tensor(plain, dtype=torch.int64), torch.nonzero(others)[:, 0]])


def push_plain(coder: AnsCoder, plain: list[int], count: int) -> None:
    """Encode which of ``count`` events are coded plainly."""
    coder.push_uniform(np.array(plain, dtype=np.int64), _candidates(len(plain), count))


def pop_plain(coder: AnsCoder, plain: int, count: int) -> list[int]:
    """Decode what :func:`push_plain` encoded.

    Raises:
        CodecError: if these are not so many different events.
    """
    found = coder.pop_uniform(_candidates(plain, count)).tolist() if plain <= count else []
    if len(set(found)) != plain or max(found, default=0) >= count:
        raise CodecError("a block begins with events that it does not have: it is damaged")
    return found


def _candidates(plain: int, count: int) -> Numbers:
    return np.full(plain, max(2, min(count, CANDIDATES)), dtype=np.int64)


def push_schedule(coder: AnsCoder, schedule: Schedule) -> None:
    """Encode the numbers of a schedule."""
    coder.push_uniform(np.array([schedule.plain, schedule.share]), _NUMBERS)


def pop_schedule(coder: AnsCoder) -> Schedule:
    """Decode what :func:`push_schedule` encoded."""
    plain, share = coder.pop_uniform(_NUMBERS).tolist()
    return Schedule(plain, max(share, 1))


_NUMBERS = np.full(2, LARGEST_COUNT + 1)
