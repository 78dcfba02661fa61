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
    Bins,
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
        return torch.from_numpy(self._draw(noise, place(mean, scale, noise.bins))).view(mean.shape)

    def give_back(self, points: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Encode what :meth:`draw` decoded.

        Raises:
            CodecError: if it cannot have decoded these points.
        """
        noise = normal_noise()
        self._give_back(noise, points.reshape(-1).numpy(), place(mean, scale, noise.bins))

    def draw_logistic(self, shape: torch.Size) -> Tensor:
        """Decode grid points of the standard logistic distribution."""
        zero = torch.zeros(shape, dtype=torch.float64)
        noise = logistic_noise()
        return torch.from_numpy(self._draw(noise, place(zero, zero + 1, noise.bins))).view(shape)

    def give_back_logistic(self, points: Tensor) -> None:
        """Encode what :meth:`draw_logistic` decoded."""
        zero, noise = torch.zeros(points.shape, dtype=torch.float64), logistic_noise()
        self._give_back(noise, points.reshape(-1).numpy(), place(zero, zero + 1, noise.bins))

    def draw_within(self, mean: Tensor, scale: Tensor, first: Tensor, size: int) -> Tensor:
        """:meth:`draw` for means in cells of ``size`` grid points from ``first``, which the noise does not leave: near
        an edge it is even over what the cell holds of its reach."""
        noise = normal_noise()
        bins = place(mean, scale, noise.bins)
        window = _window(bins, noise.reach, first.reshape(-1).numpy(), size)
        points = np.empty(len(bins), dtype=np.int64)
        points[window.free] = self._draw(noise, bins[window.free])
        edge = ~window.free
        points[edge] = window.first[edge] + self.pop_uniform(window.sizes[edge])
        return torch.from_numpy(points).view(mean.shape)

    def give_back_within(self, points: Tensor, mean: Tensor, scale: Tensor, first: Tensor, size: int) -> None:
        """Encode what :meth:`draw_within` decoded."""
        noise, values = normal_noise(), points.reshape(-1).numpy()
        bins = place(mean, scale, noise.bins)
        window = _window(bins, noise.reach, first.reshape(-1).numpy(), size)
        edge = ~window.free
        offsets = values[edge] - window.first[edge]
        _check_drawn(offsets, 0, window.sizes[edge])
        self.push_uniform(offsets, window.sizes[edge])
        self._give_back(noise, values[window.free], bins[window.free])

    def push_near(self, points: Tensor, mean: Tensor, scale: Tensor, family: str = "normal") -> None:
        """Encode grid points that are distributed as ``family`` around ``mean``, and any others at a price."""
        self._push(points, place(mean, scale), table(family), REACH * BINS)

    def pop_near(self, mean: Tensor, scale: Tensor, family: str = "normal") -> Tensor:
        """Decode what :meth:`push_near` encoded."""
        return self._pop(mean.shape, place(mean, scale), table(family), REACH * BINS)

    def push_noise(self, points: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Encode grid points as far from ``mean`` as :meth:`draw` takes them, and any others at a price."""
        self._push(points, place(mean, scale, NOISE_BINS), noise_table(), REACH * NOISE_BINS)

    def pop_noise(self, mean: Tensor, scale: Tensor) -> Tensor:
        """Decode what :meth:`push_noise` encoded."""
        return self._pop(mean.shape, place(mean, scale, NOISE_BINS), noise_table(), REACH * NOISE_BINS)

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

    def _draw(self, noise: Noise, bins: Bins) -> Numbers:
        places = self.coder.pop_alike(len(bins), noise.table).astype(np.int64) - noise.reach
        first = bins.edges(places)
        return first + self.pop_uniform(bins.edges(places + 1) - first)

    def _give_back(self, noise: Noise, points: Numbers, bins: Bins) -> None:
        places = bins.of(points)
        _check_drawn(places, -noise.reach, noise.reach)
        first = bins.edges(places)
        self.push_uniform(points - first, bins.edges(places + 1) - first)
        self.coder.push_alike(places + noise.reach, noise.table)

    def _push(self, points: Tensor, bins: Bins, symbols: Table, reach: int) -> None:
        values = points.reshape(-1).numpy()
        places = bins.of(values)
        far = (places < -reach) | (places >= reach)
        self._push_far(values[far] - bins[far].edges(0))
        first = bins.edges(places)
        sizes = bins.edges(places + 1) - first
        self.push_uniform((values - first)[~far], sizes[~far])
        self.coder.push_alike(np.where(far, 2 * reach, places + reach), symbols)

    def _pop(self, shape: torch.Size, bins: Bins, symbols: Table, reach: int) -> Tensor:
        places = self.coder.pop_alike(len(bins), symbols).astype(np.int64) - reach
        far = places == reach
        values = bins.edges(places)
        sizes = bins.edges(places + 1) - values
        values[~far] += self.pop_uniform(sizes[~far])
        values[far] = bins[far].edges(0) + self._pop_far(int(np.count_nonzero(far)))
        return torch.from_numpy(values).view(shape)

    def _push_far(self, values: Numbers) -> None:
        for part in range(_FAR_PARTS):
            self.coder.push_uniform(values >> 16 * part & 2**16 - 1, np.full(len(values), 2**16))

    def _pop_far(self, count: int) -> Numbers:
        values = np.zeros(count, dtype=np.int64)
        for _ in range(_FAR_PARTS):
            values = (values << 16) + self.coder.pop_uniform(np.full(count, 2**16))
        return values


def _window(bins: Bins, reach: int, first: Numbers, size: int) -> _Window:
    low, high = bins.edges(-reach), bins.edges(reach)
    free = (low >= first) & (high <= first + size)
    low, high = np.maximum(low, first), np.minimum(high, first + size)
    return _Window(free, low, codable(high - low))


def _check_drawn(values: Numbers, low: int, high: int | Numbers) -> None:
    """Raise unless all values can have been drawn, from ``low`` on and below ``high``."""
    if bool(np.any((values < low) | (values >= high))):
        raise CodecError("a block's noise is none that could have been drawn: the arithmetic differs, or it is damaged")
