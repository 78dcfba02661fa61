"""A stack of bits that codes grid points near a place."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.codec.bitsback.grid import BINS, NOISE_REACH, REACH, Numbers, low_bits, noise_table, place, table
from pushforward.codec.entropy import AnsCoder
from pushforward.errors import CodecError

_FAR_PARTS = 4
"""What lies beyond a table is coded as so many parts of 16 bits."""


class BitStack:
    """Codes grid points by their distance from a mean, in units of a scale, and knows how low the stack has been.

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
        self.lowest = coder.words

    def draw(self, mean: Tensor, scale: Tensor) -> Tensor:
        """Decode grid points normally distributed around ``mean``, the bits on the stack taken for noise."""
        middle, width = place(mean, scale)
        bins = self.coder.pop_alike(len(middle), noise_table()).astype(np.int64)
        return torch.from_numpy(middle + (bins - NOISE_REACH * BINS) * width + self.pop_uniform(width)).view(mean.shape)

    def give_back(self, points: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Encode what :meth:`draw` decoded.

        Raises:
            CodecError: if it cannot have decoded these points.
        """
        middle, width = place(mean, scale)
        bins, inside = np.divmod(points.reshape(-1).numpy() - middle, width)
        if len(bins) and (bins.min() < -NOISE_REACH * BINS or bins.max() >= NOISE_REACH * BINS):
            raise CodecError(
                "a block's noise is none that could have been drawn: the arithmetic differs, or it is damaged"
            )
        self.push_uniform(inside, width)
        self.coder.push_alike(bins + NOISE_REACH * BINS, noise_table())

    def push_near(self, points: Tensor, mean: Tensor, scale: Tensor, family: str = "normal") -> None:
        """Encode grid points that are distributed as ``family`` around ``mean``, and any others at a price."""
        middle, width = place(mean, scale)
        offsets = points.reshape(-1).numpy() - middle
        bins, inside = np.divmod(offsets, width)
        escaped = (bins < -REACH * BINS) | (bins >= REACH * BINS)
        self._push_far(offsets[escaped])
        self.push_uniform(inside[~escaped], width[~escaped])
        self.coder.push_alike(np.where(escaped, 2 * REACH * BINS, bins + REACH * BINS), table(family))

    def pop_near(self, mean: Tensor, scale: Tensor, family: str = "normal") -> Tensor:
        """Decode what :meth:`push_near` encoded."""
        middle, width = place(mean, scale)
        bins = self.coder.pop_alike(len(middle), table(family)).astype(np.int64)
        escaped = bins == 2 * REACH * BINS
        offsets = (bins - REACH * BINS) * width
        offsets[~escaped] += self.pop_uniform(width[~escaped])
        offsets[escaped] = self._pop_far(int(np.count_nonzero(escaped)))
        return torch.from_numpy(middle + offsets).view(mean.shape)

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
        self.lowest = min(self.lowest, self.coder.words)
        return values

    def _push_far(self, values: Numbers) -> None:
        for part in range(_FAR_PARTS):
            self.coder.push_uniform(values >> 16 * part & 2**16 - 1, np.full(len(values), 2**16))

    def _pop_far(self, count: int) -> Numbers:
        values = np.zeros(count, dtype=np.int64)
        for _ in range(_FAR_PARTS):
            values = (values << 16) + self.coder.pop_uniform(np.full(count, 2**16))
        return values
