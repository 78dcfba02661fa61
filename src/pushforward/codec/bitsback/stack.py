"""A stack of bits that codes grid points near a place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.codec.bitsback.grid import (
    BINS,
    NOISE_BINS,
    REACH,
    Noise,
    Numbers,
    codable,
    logistic_noise,
    low_bits,
    noise_table,
    normal_noise,
    place,
    table,
)
from pushforward.codec.entropy import AnsCoder, Table
from pushforward.errors import CodecError

_FAR_PARTS = 4
"""What lies beyond a table is coded as so many parts of 16 bits."""


@dataclass(frozen=True)
class _Window:
    """Where noise near an edge may lie: which elements are far from any edge, and the points that others may take."""

    free: np.ndarray[tuple[int], np.dtype[np.bool_]]
    first: Numbers
    sizes: Numbers


class BitStack:
    """Codes grid points by their distance from a mean, in units of a scale.

    Args:
        coder: the stack itself.

    Example:
        >>> stack = BitStack(AnsCoder())
        >>> mean, scale = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
        >>> stack.push_near(torch.tensor([5, -(2**40)]), mean, scale)
        >>> stack.pop_near(mean, scale).tolist()
        [5, -1099511627776]
    """

    def __init__(self, coder: AnsCoder) -> None:
        self.coder = coder

    def draw(self, mean: Tensor, scale: Tensor) -> Tensor:
        """Decode grid points normally distributed around ``mean``, the bits on the stack taken for noise."""
        noise = normal_noise()
        middle, width = place(mean, scale, noise.bins)
        return torch.from_numpy(self._draw(noise, middle, width)).view(mean.shape)

    def give_back(self, points: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Encode what :meth:`draw` decoded.

        Raises:
            CodecError: if it cannot have decoded these points.
        """
        noise = normal_noise()
        self._give_back(noise, points.reshape(-1).numpy(), *place(mean, scale, noise.bins))

    def draw_logistic(self, shape: torch.Size) -> Tensor:
        """Decode grid points of the standard logistic distribution."""
        zero = torch.zeros(shape, dtype=torch.float64)
        noise = logistic_noise()
        return torch.from_numpy(self._draw(noise, *place(zero, zero + 1, noise.bins))).view(shape)

    def give_back_logistic(self, points: Tensor) -> None:
        """Encode what :meth:`draw_logistic` decoded."""
        zero, noise = torch.zeros(points.shape, dtype=torch.float64), logistic_noise()
        self._give_back(noise, points.reshape(-1).numpy(), *place(zero, zero + 1, noise.bins))

    def draw_within(self, mean: Tensor, scale: Tensor, first: Tensor, size: int) -> Tensor:
        """:meth:`draw` for means in cells of ``size`` grid points from ``first``, which the noise does not leave: near
        an edge it is even over what the cell holds of its reach."""
        noise = normal_noise()
        middle, width = place(mean, scale, noise.bins)
        window = _window(middle, width * noise.reach, first.reshape(-1).numpy(), size)
        points = np.empty_like(middle)
        points[window.free] = self._draw(noise, middle[window.free], width[window.free])
        edge = ~window.free
        points[edge] = window.first[edge] + self.pop_uniform(window.sizes[edge])
        return torch.from_numpy(points).view(mean.shape)

    def give_back_within(self, points: Tensor, mean: Tensor, scale: Tensor, first: Tensor, size: int) -> None:
        """Encode what :meth:`draw_within` decoded."""
        noise, values = normal_noise(), points.reshape(-1).numpy()
        middle, width = place(mean, scale, noise.bins)
        window = _window(middle, width * noise.reach, first.reshape(-1).numpy(), size)
        edge = ~window.free
        offsets = values[edge] - window.first[edge]
        _check_drawn(offsets, 0, window.sizes[edge])
        self.push_uniform(offsets, window.sizes[edge])
        self._give_back(noise, values[window.free], middle[window.free], width[window.free])

    def push_near(self, points: Tensor, mean: Tensor, scale: Tensor, family: str = "normal") -> None:
        """Encode grid points that are distributed as ``family`` around ``mean``, and any others at a price."""
        self._push(points, mean, scale, table(family), BINS)

    def pop_near(self, mean: Tensor, scale: Tensor, family: str = "normal") -> Tensor:
        """Decode what :meth:`push_near` encoded."""
        return self._pop(mean, scale, table(family), BINS)

    def push_noise(self, points: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Encode grid points as far from ``mean`` as :meth:`draw` takes them, and any others at a price."""
        self._push(points, mean, scale, noise_table(), NOISE_BINS)

    def pop_noise(self, mean: Tensor, scale: Tensor) -> Tensor:
        """Decode what :meth:`push_noise` encoded."""
        return self._pop(mean, scale, noise_table(), NOISE_BINS)

    def push_uniform(self, values: Numbers, sizes: Numbers) -> None:
        """Encode numbers below ``sizes``, which :func:`pushforward.codec.bitsback.grid.codable` made."""
        low = low_bits(sizes)
        large = low > 0
        self.coder.push_uniform(values[large] & (1 << low[large]) - 1, 1 << low[large])
        self.coder.push_uniform(values >> low, sizes >> low)

    def pop_uniform(self, sizes: Numbers) -> Numbers:
        """Decode what :meth:`push_uniform` encoded."""
        low = low_bits(sizes)
        values = self.coder.pop_uniform(sizes >> low).astype(np.int64) << low
        large = low > 0
        values[large] += self.coder.pop_uniform(1 << low[large])
        return values

    def _draw(self, noise: Noise, middle: Numbers, width: Numbers) -> Numbers:
        bins = self.coder.pop_alike(len(middle), noise.table).astype(np.int64)
        return middle + (bins - noise.reach) * width + self.pop_uniform(width)

    def _give_back(self, noise: Noise, points: Numbers, middle: Numbers, width: Numbers) -> None:
        bins, inside = np.divmod(points - middle, width)
        _check_drawn(bins, -noise.reach, noise.reach)
        self.push_uniform(inside, width)
        self.coder.push_alike(bins + noise.reach, noise.table)

    def _push(self, points: Tensor, mean: Tensor, scale: Tensor, symbols: Table, bins: int) -> None:
        middle, width = place(mean, scale, bins)
        offsets = points.reshape(-1).numpy() - middle
        places, inside = np.divmod(offsets, width)
        escaped = (places < -REACH * bins) | (places >= REACH * bins)
        self._push_far(offsets[escaped])
        self.push_uniform(inside[~escaped], width[~escaped])
        self.coder.push_alike(np.where(escaped, 2 * REACH * bins, places + REACH * bins), symbols)

    def _pop(self, mean: Tensor, scale: Tensor, symbols: Table, bins: int) -> Tensor:
        middle, width = place(mean, scale, bins)
        places = self.coder.pop_alike(len(middle), symbols).astype(np.int64)
        escaped = places == 2 * REACH * bins
        offsets = (places - REACH * bins) * width
        offsets[~escaped] += self.pop_uniform(width[~escaped])
        offsets[escaped] = self._pop_far(int(np.count_nonzero(escaped)))
        return torch.from_numpy(middle + offsets).view(mean.shape)

    def _push_far(self, values: Numbers) -> None:
        for part in range(_FAR_PARTS):
            self.coder.push_uniform(values >> 16 * part & 2**16 - 1, np.full(len(values), 2**16))

    def _pop_far(self, count: int) -> Numbers:
        values = np.zeros(count, dtype=np.int64)
        for _ in range(_FAR_PARTS):
            values = (values << 16) + self.coder.pop_uniform(np.full(count, 2**16))
        return values


def _window(middle: Numbers, reach: Numbers, first: Numbers, size: int) -> _Window:
    last = first + size - 1
    middle = middle.clip(first, last)
    low, high = np.maximum(middle - reach, first), np.minimum(middle + reach - 1, last)
    free = (low == middle - reach) & (high == middle + reach - 1)
    return _Window(free, low, codable(high - low + 1))


def _check_drawn(values: Numbers, low: int, high: int | Numbers) -> None:
    """Raise unless all values can have been drawn, from ``low`` on and below ``high``."""
    if bool(np.any((values < low) | (values >= high))):
        raise CodecError("a block's noise is none that could have been drawn: the arithmetic differs, or it is damaged")
