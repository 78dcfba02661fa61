"""Causal networks of images in exact arithmetic, one pixel after the other: each costs its own column of every layer.

They mirror :mod:`pushforward.networks.masked.images`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from pushforward.codec.exact import tables
from pushforward.codec.exact.causal import CausalLine, IntegerTaps, RowsKept
from pushforward.codec.exact.fixedpoint import ACTIVATION_LIMIT, IntegerConv, scaled
from pushforward.codec.exact.tables import CDF_BITS, CDF_STEP_BITS, FRACTION_BITS


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
