"""Two streams of gated residual blocks at several scales, as a U-net."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.masked.images.conditions import Condition, ConditionTerm
from pushforward.networks.masked.images.stacks import CornerConvolution, VerticalConvolution

Convolution = Callable[[int, int], nn.Conv2d]


class Scale(nn.Module):
    """The blocks of a scale, down and up, and between them the scale of half the sides, where there is one."""

    def __init__(self, hidden: int, layers: int, scales: int, dropout: float, context: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Streams(hidden, 0, dropout, context) for _ in range(layers))
        self.up = nn.ModuleList(Streams(hidden, 1, dropout, context) for _ in range(layers))
        self.inner = Scale(hidden, layers, scales - 1, dropout, context) if scales > 1 else None
        if self.inner is not None:
            self.above_in = VerticalConvolution(hidden, hidden, 3, strict=False, stride=2)
            self.corner_in = CornerConvolution(hidden, hidden, stride=2)
            self.above_out = nn.ConvTranspose2d(hidden, hidden, 2, stride=2)
            self.corner_out = nn.ConvTranspose2d(hidden, hidden, 2, stride=2)

    def forward(self, above: Tensor, corner: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        height, width = above.shape[-2:]
        skips: list[tuple[Tensor, Tensor]] = []
        for block in self.down:
            above, corner = block(above, corner, (), condition)
            skips.append((above, corner))
        if self.inner is not None:
            above, corner = self.inner(self.above_in(above), self.corner_in(corner), condition.coarser())
            above = self.above_out(above)[..., :height, :width]
            corner = self.corner_out(corner)[..., :height, :width]
        for block in self.up:
            above, corner = block(above, corner, (skips.pop(),), condition)
        return above, corner


class Streams(nn.Module):
    """A block of both streams, given the results of as many blocks further down as it has skip connections."""

    def __init__(self, hidden: int, skips: int, dropout: float, context: int) -> None:
        super().__init__()
        self.above = GatedResidual(_rows_above, hidden, skips, dropout, context)
        self.corner = GatedResidual(CornerConvolution, hidden, 1 + skips, dropout, context)

    def forward(
        self, above: Tensor, corner: Tensor, skips: tuple[tuple[Tensor, Tensor], ...], condition: Condition
    ) -> tuple[Tensor, Tensor]:
        above = self.above(above, [skip for skip, _ in skips], condition)
        return above, self.corner(corner, [above, *(skip for _, skip in skips)], condition)


class GatedResidual(nn.Module):
    """``x + a sigmoid(b)``, with ``(a, b)`` a convolution of a convolution of ``x`` and of what is at its side."""

    def __init__(self, convolution: Convolution, hidden: int, sides: int, dropout: float, context: int) -> None:
        super().__init__()
        self.first = convolution(2 * hidden, hidden)
        self.sides = nn.ModuleList(nn.Conv2d(2 * hidden, hidden, 1, bias=False) for _ in range(sides))
        self.second = convolution(2 * hidden, 2 * hidden)
        self.term = ConditionTerm(2 * hidden, context)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, sides: list[Tensor], condition: Condition) -> Tensor:
        inner = self.first(concat_elu(x))
        for layer, side in zip(self.sides, sides, strict=True):
            inner = inner + layer(concat_elu(side))
        return self.add(x, self.second(self.inside(inner)) + self.term(condition))

    def inside(self, inner: Tensor) -> Tensor:
        """What is between the two convolutions."""
        return self.dropout(concat_elu(inner))

    def add(self, x: Tensor, branch: Tensor) -> Tensor:
        """Add the gated branch."""
        value, gate = branch.chunk(2, dim=1)
        return x + value * torch.sigmoid(gate)


def concat_elu(x: Tensor) -> Tensor:
    """Return ``elu(x)`` and ``elu(-x)`` side by side in the channels, of planes or of a pixel."""
    return F.elu(torch.cat([x, -x], 1))


def _rows_above(inputs: int, outputs: int) -> VerticalConvolution:
    return VerticalConvolution(inputs, outputs, 3, strict=False)
