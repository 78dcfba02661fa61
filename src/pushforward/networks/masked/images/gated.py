"""Gated PixelCNN: a stack of the rows above and a stack of the row itself, and so no blind spot."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.networks.masked.convolution import MaskedConvolution, raster_mask
from pushforward.networks.masked.images.base import PixelNetwork, PixelSweep, hidden_degrees
from pushforward.networks.masked.images.conditions import Condition, ConditionTerm
from pushforward.networks.masked.images.pixelcnn import PixelHead
from pushforward.networks.masked.images.rows import CausalRow, Column, RowsAbove, column, plane_term


class GatedPixelCNN(PixelNetwork):
    r"""Gated PixelCNN. The vertical stack ``v`` sees all rows above, the horizontal stack ``h`` the row to the left and
    the vertical stack; both are gated, with what the context and the place add,

    .. math:: v \leftarrow \tanh(a) \odot \sigma(b), \quad (a, b) = W_v * v + U_v c, \qquad
        h \leftarrow h + W\bigl(\tanh(a') \odot \sigma(b')\bigr), \quad (a', b') = W_h * h + L\,(a, b) + U_h c.

    A pixel's outputs see every pixel before it, once there are as many layers as that takes. The last layer starts at
    zero.

    Args:
        inputs, outputs, context, numbers, center, unit: as for every :class:`PixelNetwork`.
        hidden: channels of each stack.
        layers: the number of gated layers.
        first_kernel: the side of the first layer's kernel, odd.
        kernel: the sides of the others.
        dropout: the share of hidden units that training leaves out.

    Raises:
        UsageError: if channels, outputs and kernels do not fit.
        ShapeError: if the input is not ``(..., C, H, W)``, or the context is missing or does not fit.

    Source: van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016), arXiv:1606.05328.

    Example:
        >>> GatedPixelCNN(3, 6, hidden=6, layers=2)(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int = 64,
        layers: int = 7,
        first_kernel: int = 7,
        kernel: int = 3,
        dropout: float = 0.0,
        numbers: int = 1,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers, center, unit)
        if min(first_kernel, kernel) < 3:
            raise UsageError(f"GatedPixelCNN expects kernels of at least 3, got {first_kernel} and {kernel}")
        degrees, given = hidden_degrees(hidden, self.variables), self.context_channels
        first = GatedLayer(self.input_degrees, degrees, first_kernel, dropout, given, strict=True)
        others = [GatedLayer(degrees, degrees, kernel, dropout, given) for _ in range(layers - 1)]
        self.layers = nn.ModuleList([first, *others])
        self.head = PixelHead(degrees, self.output_degrees)

    def _evaluate(self, x: Tensor, condition: Condition) -> Tensor:
        vertical = horizontal = x
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal, condition)
        return self.head(horizontal)

    def _sweep(self, rows: int, width: int) -> PixelSweep:
        return GatedSweep(self, rows, width)


class GatedLayer(nn.Module):
    """A layer of both stacks. The first is strict: it sees no pixel at its own place, and adds nothing to its input."""

    def __init__(
        self,
        in_degrees: list[int],
        degrees: list[int],
        kernel: int,
        dropout: float,
        context: int,
        *,
        strict: bool = False,
    ) -> None:
        super().__init__()
        hidden = len(degrees)
        self.vertical = VerticalConvolution(len(in_degrees), 2 * hidden, kernel, strict=strict)
        self.vertical_term = ConditionTerm(2 * hidden, context)
        self.link = nn.Conv2d(2 * hidden, 2 * hidden, 1)
        self.horizontal = HorizontalConvolution(in_degrees, degrees * 2, kernel, strict=strict)
        self.horizontal_term = ConditionTerm(2 * hidden, context)
        self.last = MaskedConvolution(degrees, degrees, 1)
        self.dropout = nn.Dropout(dropout)
        self.residual = not strict

    def forward(self, vertical: Tensor, horizontal: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        vertical, linked = self.above(self.vertical(vertical), condition)
        return vertical, self.beside(horizontal, self.horizontal(horizontal) + linked, self.last)

    def above(self, convolved: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Return the vertical stack's result, and what the horizontal one is given of it and of the condition."""
        raw = convolved + self.vertical_term(condition)
        return self.dropout(gated(raw)), self.link(raw) + self.horizontal_term(condition)

    def beside(self, horizontal: Tensor, raw: Tensor, last: Column) -> Tensor:
        """Return the horizontal stack's result, of planes or of the channels of a pixel."""
        branch = last(self.dropout(gated(raw)))
        return horizontal + branch if self.residual else branch


class VerticalConvolution(nn.Conv2d):
    """A convolution that sees the rows above and, where it is not strict, its own."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, strict: bool) -> None:
        self.above = kernel // 2
        super().__init__(inputs, outputs, (self.above + (not strict), kernel))
        self.cut = int(strict)

    def forward(self, x: Tensor) -> Tensor:
        sides = self.kernel_size[1] // 2
        return F.conv2d(F.pad(x, (sides, sides, self.above, -self.cut)), self.weight, self.bias)

    def rows(self, rows: int, width: int) -> RowsAbove:
        """The layer, one row after the other."""
        assert self.bias is not None
        return RowsAbove(self.weight, self.bias, self.kernel_size[0], rows, width)


class HorizontalConvolution(nn.Conv2d):
    """A convolution that sees the pixels to the left and, of its own, what its degrees allow."""

    mask: Tensor

    def __init__(self, in_degrees: list[int], out_degrees: list[int], kernel: int, *, strict: bool) -> None:
        self.left = kernel // 2
        super().__init__(len(in_degrees), len(out_degrees), (1, self.left + 1))
        mask = raster_mask(in_degrees, out_degrees, 1, strict=strict)
        mask = torch.cat([torch.ones_like(mask).expand(-1, -1, 1, self.left), mask], -1)
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    @property
    def masked_weight(self) -> Tensor:
        """``W * M``."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (self.left, 0)), self.masked_weight, self.bias)

    def row(self, rows: int, width: int) -> CausalRow:
        """The layer, one pixel after the other; its bias is left to the row's term."""
        return CausalRow(self.masked_weight, self.left, rows, width)


class GatedSweep(PixelSweep):
    """A gated PixelCNN's evaluation: the vertical stack row by row, the horizontal one pixel by pixel."""

    def __init__(self, network: GatedPixelCNN, rows: int, width: int) -> None:
        self.layers: list[GatedLayer] = list(network.layers)  # type: ignore[arg-type]
        self.vertical = [layer.vertical.rows(rows, width) for layer in self.layers]
        self.horizontal = [layer.horizontal.row(rows, width) for layer in self.layers]
        self.last = [column(layer.last) for layer in self.layers]
        self.head = network.head.column()

    def begin(self, condition: Condition) -> None:
        above: Tensor | None = None
        for layer, vertical, horizontal in zip(self.layers, self.vertical, self.horizontal, strict=True):
            above, linked = layer.above(vertical.read() if above is None else vertical(above), condition)
            horizontal.begin(plane_term(layer.horizontal.bias, linked))

    def outputs(self, j: int) -> Tensor:
        first, *others = self.horizontal
        h = first.read(j)
        h = self.layers[0].beside(h, h, self.last[0])
        for layer, row, last in zip(self.layers[1:], others, self.last[1:], strict=True):
            h = layer.beside(h, row.at(j)(h), last)
        return self.head(h)

    def write(self, j: int, pixel: Tensor) -> None:
        self.horizontal[0].write(j, pixel)

    def end(self) -> None:
        self.vertical[0].write(self.horizontal[0].end())


def gated(raw: Tensor) -> Tensor:
    """Return ``tanh(a) sigmoid(b)`` of the two halves of the channels."""
    value, gate = raw.chunk(2, dim=1)
    return torch.tanh(value) * torch.sigmoid(gate)
