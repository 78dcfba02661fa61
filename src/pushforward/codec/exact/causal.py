"""Causal convolutions in exact arithmetic, one pixel after the other: each costs its own column of the layer.

Everything is an integer carried in float64 whose sums stay below
2^53 (see :mod:`pushforward.codec.exact.fixedpoint`), so that what a row takes from the rows above can be summed once
for all of its pixels, in any order, and the bits are those of the whole sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.codec.exact.fixedpoint import (
    ACTIVATION_LIMIT,
    EXACT,
    WEIGHT_BITS,
    quantise,
    worst_case_sum,
)
from pushforward.codec.exact.tables import FRACTION_BITS
from pushforward.errors import CodecError

CACHED = 2**16
"""Numbers that stay in a processor's cache between being put side by side and being multiplied."""


@dataclass
class IntegerTaps:
    """A convolution by the places that it sees: ``above`` (rows, columns, in, out) of the rows kept, ``own`` (places,
    in, out) of the pixels to the left and the pixel itself, each perhaps none.

    ``term`` (height, width, out) is what the place adds, in units of ``2^-(14 + weight_bits)``; weights count multiples
    of ``2^-weight_bits``.
    """

    above: Tensor
    own: Tensor
    term: Tensor
    weight_bits: int

    def __post_init__(self) -> None:
        if self.above.dim() != 4 or self.own.dim() != 3 or self.term.dim() != 3 or not 0 <= self.weight_bits <= 32:
            raise CodecError("the exported convolution is damaged: its weights do not fit")
        taps = torch.cat([self.above.flatten(0, 1), self.own])
        # Another layer's result may be added to the sum besides.
        largest = worst_case_sum(taps, self.term.abs().flatten(0, 1).amax(0), self.weight_bits)
        if largest + (ACTIVATION_LIMIT << self.weight_bits) >= EXACT:
            raise CodecError(f"a layer's sums reach {largest}, not below 2^53: the exported model is damaged")
        self.rows, self.columns, self.inputs, self.outputs = self.above.shape
        self.left = max(len(self.own) - 1, 0)
        self._above = self.above.double().flatten(0, 2)
        self._own = self.own.double().flatten(0, 1)
        self._term = self.term.double() + 2.0 ** (self.weight_bits - 1)

    @classmethod
    def from_float(cls, above: Tensor, own: Tensor, term: Tensor) -> IntegerTaps:
        """Round float weights (out, in, rows, columns), (out, in, places) and a term (out, height, width), to as many
        bits as keep every sum exact."""
        taps = [above.detach().permute(2, 3, 1, 0).contiguous(), own.detach().permute(2, 1, 0).contiguous()]
        places = term.detach().permute(1, 2, 0).contiguous()
        for bits in range(WEIGHT_BITS, 3, -1):
            rounded = [quantise(part, bits) for part in taps]
            together = torch.cat([rounded[0].flatten(0, 1), rounded[1]])
            offsets = quantise(places, FRACTION_BITS + bits)
            largest = worst_case_sum(together, offsets.abs().flatten(0, 1).amax(0), bits)
            if largest + (ACTIVATION_LIMIT << bits) < EXACT:
                return cls(rounded[0], rounded[1], offsets, bits)
        raise CodecError("a layer's weights are too large for exact arithmetic: train the model with weight decay")

    def above_row(self, kept: Tensor, row: int) -> Tensor:
        """The sums (N, W, out) that a row takes from the rows kept, (N, rows, W + columns - 1, in), and its place."""
        count, _, padded, _ = kept.shape
        width = padded - self.columns + 1
        total = self._term[row].expand(count, -1, -1)
        if not self.rows:
            return total
        images = max(1, CACHED // (width * len(self._above)))
        return total + torch.cat([self._seen(part, width) @ self._above for part in kept.split(images)])

    def _seen(self, kept: Tensor, width: int) -> Tensor:
        """What each pixel of a row sees of the rows kept, side by side."""
        places = [kept[:, r, c : c + width] for r in range(self.rows) for c in range(self.columns)]
        return torch.cat(places, -1)

    def add_own(self, total: Tensor, seen: Tensor) -> Tensor:
        """A pixel's sums with what it takes of its own row, (N, places * in)."""
        return torch.addmm(total, seen, self._own)

    def rounded(self, total: Tensor) -> Tensor:
        """Sums as activations."""
        return (total * 2.0**-self.weight_bits).floor_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


class RowsKept:
    """The last rows of a layer's input, zeros beyond the image."""

    def __init__(self, taps: IntegerTaps, count: int, width: int) -> None:
        self.taps, self.side = taps, taps.columns // 2
        self.rows = torch.zeros(count, taps.rows, width + 2 * self.side, taps.inputs, dtype=torch.float64)

    def write(self, row: Tensor) -> None:
        """Keep a row (N, W, C), and forget the first."""
        if self.taps.rows:
            padded = torch.nn.functional.pad(row, (0, 0, self.side, self.side))
            self.rows = torch.cat([self.rows[:, 1:], padded[:, None]], 1)

    def sums(self, row: int) -> Tensor:
        """What a row takes of the rows kept and its place."""
        return self.taps.above_row(self.rows, row)


class CausalLine:
    """A causal convolution at one pixel of a row after the other."""

    def __init__(self, taps: IntegerTaps, count: int, width: int) -> None:
        self.taps, self.kept = taps, RowsKept(taps, count, width)
        self.line = torch.zeros(count, taps.left + width, taps.inputs, dtype=torch.float64)

    def begin(self, row: int, linked: Tensor | None = None) -> None:
        """Begin a row, to which the activations ``linked`` (N, W, out) are added."""
        sums = self.kept.sums(row)
        if linked is not None:
            sums = sums + linked * 2.0**self.taps.weight_bits
        self.totals = sums.transpose(0, 1).contiguous()
        self.line.zero_()

    def write(self, j: int, pixel: Tensor) -> None:
        """Set the channels (N, C) of pixel ``j``."""
        self.line[:, self.taps.left + j] = pixel

    def read(self, j: int) -> Tensor:
        """The result (N, out) at pixel ``j``, given the pixels written so far."""
        seen = self.line[:, j : j + self.taps.left + 1].flatten(1)
        return self.taps.rounded(self.taps.add_own(self.totals[j], seen))

    def at(self, j: int, pixel: Tensor) -> Tensor:
        """The result at pixel ``j``, which is written first."""
        self.write(j, pixel)
        return self.read(j)

    def end(self) -> Tensor:
        """Keep the row for those below, and return it, (N, W, C)."""
        row = self.line[:, self.taps.left :].clone()
        self.kept.write(row)
        return row
