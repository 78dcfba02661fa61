"""PixelCNN++ one pixel after the other: a scale of half the sides is asked at every other pixel of every other row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.masked.images.base import PixelSweep
from pushforward.networks.masked.images.conditions import Condition
from pushforward.networks.masked.images.rows import CausalRow, plane_term
from pushforward.networks.masked.images.scales import GatedResidual, Scale, Streams, concat_elu
from pushforward.networks.masked.images.stacks import CornerConvolution

if TYPE_CHECKING:
    from pushforward.networks.masked.images.pixelcnn_pp import PixelCNNPlusPlus


class MultiscaleSweep(PixelSweep):
    """A PixelCNN++'s evaluation: the stream of the rows above row by row, the other pixel by pixel."""

    def __init__(self, network: PixelCNNPlusPlus, rows: int, width: int) -> None:
        self.network = network
        self.first_above = network.first_above.rows(rows, width)
        self.first_beside = network.first_beside.row(rows, width)
        self.scale = ScaleSweep(network.scale, rows, width)
        self.head = network.head.column()

    def begin(self, condition: Condition) -> None:
        above = self.first_above.read()
        self.first_beside.begin(plane_term(self.network.first_beside.bias, self.network.link(above)))
        self.scale.begin(above, condition)

    def outputs(self, j: int) -> Tensor:
        return self.head(self.scale.corner(j, self.first_beside.read(j)))

    def write(self, j: int, pixel: Tensor) -> None:
        self.first_beside.write(j, pixel)

    def end(self) -> None:
        self.first_above.write(self.first_beside.end())
        self.scale.end()


class ScaleSweep:
    """The blocks of a scale, one pixel after the other."""

    def __init__(self, scale: Scale, rows: int, width: int) -> None:
        self.down = [StreamsSweep(block, rows, width) for block in scale.down]  # type: ignore[arg-type]
        self.up = [StreamsSweep(block, rows, width) for block in scale.up]  # type: ignore[arg-type]
        self.inner = None if scale.inner is None else InnerSweep(scale, scale.inner, rows, width)

    def begin(self, above: Tensor, condition: Condition) -> Tensor:
        """Begin a row, and return the result ``(rows, C, 1, W)`` of the stream that sees the rows above."""
        skips: list[Tensor] = []
        for block in self.down:
            above = block.begin(above, [], condition)
            skips.append(above)
        if self.inner is not None:
            above = self.inner.begin(above, condition)
        for block in self.up:
            above = block.begin(above, [skips.pop()], condition)
        return above

    def corner(self, j: int, pixel: Tensor) -> Tensor:
        """Return the result ``(rows, C)`` at pixel ``j`` of the stream that sees the row too."""
        skips: list[Tensor] = []
        for block in self.down:
            pixel = block.corner(j, pixel, [])
            skips.append(pixel)
        if self.inner is not None:
            pixel = self.inner.corner(j, pixel)
        for block in self.up:
            pixel = block.corner(j, pixel, [skips.pop()])
        return pixel

    def end(self) -> None:
        """Keep the row."""
        for block in (*self.down, *self.up):
            block.end()
        if self.inner is not None:
            self.inner.end()


class InnerSweep:
    """The way to the scale of half the sides and back; what it said is kept for the pixels that do not ask."""

    def __init__(self, outer: Scale, scale: Scale, rows: int, width: int) -> None:
        self.scale = ScaleSweep(scale, rows, (width + 1) // 2)
        self.width, self.odd_row = width, False
        self.above_in, self.above_out = outer.above_in.rows(rows, width), outer.above_out
        self.corner_bias, self.corner_in = outer.corner_in.bias, outer.corner_in.row(rows, width)
        self.out_weight, self.out_bias = outer.corner_out.weight, outer.corner_out.bias
        self.said: dict[int, Tensor] = {}

    def begin(self, above: Tensor, condition: Condition) -> Tensor:
        """Begin a row of the outer scale, and return what the inner one says of the rows above."""
        assert self.corner_bias is not None
        self.corner_in.begin(self.corner_bias[None, :, None, None])
        if self.odd_row:
            self.above_in.write(above)
        else:
            self.above = self.scale.begin(self.above_in(above), condition.coarser())
        weight = self.above_out.weight[:, :, int(self.odd_row), None]
        return F.conv_transpose2d(self.above, weight, self.above_out.bias, 2)[..., : self.width]

    def corner(self, j: int, pixel: Tensor) -> Tensor:
        """Return what the inner scale says at pixel ``j`` of the outer one."""
        self.corner_in.write(j, pixel)
        if not self.odd_row and j % 2 == 0:
            self.said[j // 2] = self.scale.corner(j // 2, self.corner_in.read(j))
        weight = self.out_weight[:, :, int(self.odd_row), j % 2]
        return torch.addmm(self.out_bias, self.said[j // 2], weight)  # type: ignore[arg-type]

    def end(self) -> None:
        """Keep the row."""
        self.corner_in.end()
        if not self.odd_row:
            self.scale.end()
        self.odd_row = not self.odd_row


class StreamsSweep:
    """A block of both streams: of the rows above row by row, of the other pixel by pixel."""

    def __init__(self, block: Streams, rows: int, width: int) -> None:
        self.above: GatedResidual = block.above
        self.first_above, self.second_above = (
            layer.rows(rows, width)  # type: ignore[operator]
            for layer in (block.above.first, block.above.second)
        )
        self.block: GatedResidual = block.corner
        self.first, self.second = _row(block.corner.first, rows, width), _row(block.corner.second, rows, width)
        self.skips = [side.weight[:, :, 0, 0] for side in list(block.corner.sides)[1:]]  # type: ignore[index]

    def begin(self, above: Tensor, skips: list[Tensor], condition: Condition) -> Tensor:
        """Begin a row, and return the result of the stream of the rows above, given its skip connections."""
        inner = self.first_above(concat_elu(above))
        for layer, skip in zip(self.above.sides, skips, strict=True):
            inner = inner + layer(concat_elu(skip))
        branch = self.second_above(self.above.inside(inner)) + self.above.term(condition)
        above = self.above.add(above, branch)
        self.first.begin(plane_term(self.block.first.bias, self.block.sides[0](concat_elu(above))))
        self.second.begin(plane_term(self.block.second.bias, self.block.term(condition)))
        return above

    def corner(self, j: int, pixel: Tensor, skips: list[Tensor]) -> Tensor:
        """Return the other stream's result at pixel ``j``."""
        inner = self.first.at(j)(concat_elu(pixel))
        for weight, skip in zip(self.skips, skips, strict=True):
            inner = inner + F.linear(concat_elu(skip), weight)
        return self.block.add(pixel, self.second.at(j)(self.block.inside(inner)))

    def end(self) -> None:
        """Keep the row."""
        self.first.end()
        self.second.end()


def _row(layer: nn.Conv2d, rows: int, width: int) -> CausalRow:
    assert isinstance(layer, CornerConvolution)
    return layer.row(rows, width)
