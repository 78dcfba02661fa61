"""Causal networks of images in exact arithmetic, one pixel after the other: each costs its own column of every layer.

They mirror :mod:`pushforward.networks.masked.images`. Everything is an integer carried in float64 whose sums stay below
2^53 (see :mod:`pushforward.codec.exact.fixedpoint`), so that what a row takes from the rows above can be summed once
for all of its pixels, in any order, and the bits are those of the whole sum.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from pushforward.codec.exact import tables
from pushforward.codec.exact.fixedpoint import (
    ACTIVATION_LIMIT,
    EXACT,
    WEIGHT_BITS,
    IntegerConv,
    quantise,
    scaled,
    worst_case_sum,
)
from pushforward.codec.exact.tables import CDF_BITS, CDF_STEP_BITS, FRACTION_BITS
from pushforward.errors import CodecError


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
        seen = [kept[:, r, c : c + width] for r in range(self.rows) for c in range(self.columns)]
        return total + torch.cat(seen, -1) @ self._above

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


class IntegerSweep(ABC):
    """A network's evaluation at one pixel of a row after the other, as
    :class:`pushforward.networks.masked.images.base.PixelSweep` is."""

    @abstractmethod
    def begin(self, row: int) -> None:
        """Compute what the row's outputs take from the rows above."""

    @abstractmethod
    def outputs(self, j: int) -> Tensor:
        """The outputs (N, V P) for pixel ``j`` in multiples of 2^-14, given the pixels written so far."""

    @abstractmethod
    def write(self, j: int, values: Tensor) -> None:
        """Set pixel ``j`` to integers (N, C)."""

    @abstractmethod
    def end(self) -> None:
        """Keep the row, all of whose pixels are written."""


@dataclass
class IntegerHead:
    """Two 1x1 convolutions, each behind a rectifier."""

    hidden: IntegerConv
    last: IntegerConv

    def __call__(self, h: Tensor) -> Tensor:
        return pointwise(self.last, relu(pointwise(self.hidden, relu(h))))


@dataclass
class IntegerPixelBlock:
    """A residual block of a PixelCNN."""

    narrow: IntegerConv
    convolution: IntegerTaps
    wide: IntegerConv


@dataclass
class IntegerPixelCNN:
    """A PixelCNN; its input is shifted by ``center`` multiples of 2^-14 and multiplied by ``multiplier / 2^20``."""

    center: int
    multiplier: int
    first: IntegerTaps
    blocks: list[IntegerPixelBlock]
    head: IntegerHead

    def sweep(self, count: int, width: int) -> IntegerSweep:
        """Begin the evaluation of ``count`` images."""
        return _PixelCNNSweep(self, count, width)


@dataclass
class IntegerGatedLayer:
    """A layer of both stacks of a gated PixelCNN; ``residual`` where its input is added to the horizontal one's."""

    vertical: IntegerTaps
    link: IntegerConv
    horizontal: IntegerTaps
    last: IntegerConv
    residual: bool


@dataclass
class IntegerGatedPixelCNN:
    """A gated PixelCNN; its input is scaled as that of :class:`IntegerPixelCNN`."""

    center: int
    multiplier: int
    layers: list[IntegerGatedLayer]
    head: IntegerHead

    def sweep(self, count: int, width: int) -> IntegerSweep:
        """Begin the evaluation of ``count`` images."""
        return _GatedSweep(self, count, width)


class _PixelCNNSweep(IntegerSweep):
    def __init__(self, network: IntegerPixelCNN, count: int, width: int) -> None:
        self.network = network
        self.first = CausalLine(network.first, count, width)
        self.lines = [CausalLine(block.convolution, count, width) for block in network.blocks]

    def begin(self, row: int) -> None:
        for line in (self.first, *self.lines):
            line.begin(row)

    def outputs(self, j: int) -> Tensor:
        h = self.first.read(j)
        for block, line in zip(self.network.blocks, self.lines, strict=True):
            inner = relu(line.at(j, relu(pointwise(block.narrow, relu(h)))))
            h = limited(h + pointwise(block.wide, inner))
        return self.network.head(h)

    def write(self, j: int, values: Tensor) -> None:
        self.first.write(j, scaled(values, self.network.center, self.network.multiplier))

    def end(self) -> None:
        for line in (self.first, *self.lines):
            line.end()


class _GatedSweep(IntegerSweep):
    def __init__(self, network: IntegerGatedPixelCNN, count: int, width: int) -> None:
        self.network = network
        self.vertical = [RowsKept(layer.vertical, count, width) for layer in network.layers]
        self.horizontal = [CausalLine(layer.horizontal, count, width) for layer in network.layers]

    def begin(self, row: int) -> None:
        above: Tensor | None = None
        for layer, kept, line in zip(self.network.layers, self.vertical, self.horizontal, strict=True):
            if above is not None:
                kept.write(above)
            raw = layer.vertical.rounded(kept.sums(row))
            above = gated(raw)
            line.begin(row, pointwise(layer.link, raw.flatten(0, 1)).view(raw.shape))

    def outputs(self, j: int) -> Tensor:
        h: Tensor | None = None
        for layer, line in zip(self.network.layers, self.horizontal, strict=True):
            raw = line.read(j) if h is None else line.at(j, h)
            branch = pointwise(layer.last, gated(raw))
            h = limited(h + branch) if layer.residual and h is not None else branch
        assert h is not None
        return self.network.head(h)

    def write(self, j: int, values: Tensor) -> None:
        self.horizontal[0].write(j, scaled(values, self.network.center, self.network.multiplier))

    def end(self) -> None:
        self.vertical[0].write(self.horizontal[0].end())


def pointwise(layer: IntegerConv, x: Tensor) -> Tensor:
    """A 1x1 convolution of the channels of pixels (n, in)."""
    return limited(layer.rows(x, 0, len(x), 0))


def relu(x: Tensor) -> Tensor:
    """What is positive."""
    return x.clamp(min=0.0)


def limited(x: Tensor) -> Tensor:
    """Activations within their limits."""
    return x.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


def gated(raw: Tensor) -> Tensor:
    """``tanh(a) sigmoid(b)`` of the two halves of the channels, by tables, rounded down to multiples of 2^-14."""
    value, gate = raw.chunk(2, -1)
    product = (2.0 * _sigmoid(2.0 * value) - 2.0**FRACTION_BITS) * _sigmoid(gate)
    return (product * 2.0**-FRACTION_BITS).floor_()


def _sigmoid(x: Tensor) -> Tensor:
    table = _sigmoid_table()
    centre = len(table) // 2
    index = (x * 2.0 ** (CDF_STEP_BITS - FRACTION_BITS)).floor_().clamp_(-centre, centre).long()
    return table.take(index + centre)


@cache
def _sigmoid_table() -> Tensor:
    """The logistic CDF in units of 2^-14, in steps of 2^-11."""
    return torch.from_numpy(tables.logistic_cdf() >> (CDF_BITS - FRACTION_BITS)).double()
