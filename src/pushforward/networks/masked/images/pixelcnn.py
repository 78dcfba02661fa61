"""PixelCNN: residual blocks of masked convolutions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.context import Context
from pushforward.networks.masked.convolution import MaskedConvolution
from pushforward.networks.masked.images.base import PixelNetwork, PixelSweep, hidden_degrees
from pushforward.networks.masked.images.conditions import Condition, ConditionTerm
from pushforward.networks.masked.images.rows import Column, column, masked_row, plane_term


class PixelCNN(PixelNetwork):
    r"""PixelCNN: a masked convolution of type A, then residual blocks of type B,

    .. math:: h \leftarrow h + W_3\,\mathrm{relu}\bigl(W_2 * \mathrm{relu}(W_1\,\mathrm{relu}(h))\bigr).

    It has a blind spot to the right above a pixel, which :class:`GatedPixelCNN` has not. The last layer starts at zero.

    Args:
        inputs, outputs, context, numbers, center, unit: as for every :class:`PixelNetwork`.
        hidden: channels of the layers.
        layers: the number of residual blocks.
        first_kernel: the side of the first convolution's kernel, odd.
        kernel: the sides of the others.
        dropout: the share of hidden units that training leaves out.

    Raises:
        UsageError: if channels, outputs and kernels do not fit.
        ShapeError: if the input is not ``(..., C, H, W)``, or the context is missing or does not fit.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.

    Example:
        >>> import torch
        >>> PixelCNN(3, 6, hidden=6, layers=1)(torch.ones(5, 3, 4, 4)).shape
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
        degrees = hidden_degrees(hidden, self.variables)
        self.first = MaskedConvolution(self.input_degrees, degrees, first_kernel, strict=True)
        self.first_term = ConditionTerm(hidden, self.context_channels)
        self.blocks = nn.ModuleList(PixelBlock(degrees, kernel, dropout, self.context_channels) for _ in range(layers))
        self.head = PixelHead(degrees, self.output_degrees)

    def _evaluate(self, x: Tensor, condition: Condition) -> Tensor:
        h = self.first(x) + self.first_term(condition)
        for block in self.blocks:
            h = block(h, condition)
        return self.head(h)

    def _sweep(self, rows: int, width: int) -> PixelSweep:
        return PixelCNNSweep(self, rows, width)


class PixelBlock(nn.Module):
    """A residual block of half as many channels inside."""

    def __init__(self, degrees: list[int], kernel: int, dropout: float, context: int) -> None:
        super().__init__()
        inner = hidden_degrees(max(len(degrees) // 2, max(degrees) + 1), max(degrees) + 1)
        self.narrow = MaskedConvolution(degrees, inner, 1)
        self.convolution = MaskedConvolution(inner, inner, kernel)
        self.term = ConditionTerm(len(inner), context)
        self.wide = MaskedConvolution(inner, degrees, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, condition: Condition) -> Tensor:
        term = self.term(condition)
        return self.apply_to(h, self.narrow, lambda inner: self.convolution(inner) + term, self.wide)

    def apply_to(self, h: Tensor, narrow: Column, convolution: Column, wide: Column) -> Tensor:
        """The block in terms of its layers, of planes or of the channels of a pixel."""
        return h + wide(self.dropout(F.relu(convolution(F.relu(narrow(F.relu(h)))))))


class PixelHead(nn.Module):
    """Two 1x1 convolutions, each behind a rectifier; the last starts at zero."""

    def __init__(self, degrees: list[int], output_degrees: list[int]) -> None:
        super().__init__()
        self.hidden = MaskedConvolution(degrees, degrees, 1)
        self.last = MaskedConvolution(degrees, output_degrees, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor) -> Tensor:
        return self.apply_to(h, self.hidden, self.last)

    def column(self) -> Column:
        """The head as a map of the channels of a pixel."""
        hidden, last = column(self.hidden), column(self.last)
        return lambda h: self.apply_to(h, hidden, last)

    def apply_to(self, h: Tensor, hidden: Column, last: Column) -> Tensor:
        """The head in terms of its layers."""
        return last(F.relu(hidden(F.relu(h))))


class PixelCNNSweep(PixelSweep):
    """A PixelCNN's evaluation, one pixel after the other."""

    def __init__(self, network: PixelCNN, rows: int, width: int) -> None:
        self.network = network
        self.blocks: list[PixelBlock] = list(network.blocks)  # type: ignore[arg-type]
        self.first = masked_row(network.first, rows, width)
        self.rows = [masked_row(block.convolution, rows, width) for block in self.blocks]
        self.columns = [(column(block.narrow), column(block.wide)) for block in self.blocks]
        self.head = network.head.column()

    def begin(self, condition: Condition) -> None:
        self.first.begin(plane_term(self.network.first.bias, self.network.first_term(condition)))
        for row, block in zip(self.rows, self.blocks, strict=True):
            row.begin(plane_term(block.convolution.bias, block.term(condition)))

    def outputs(self, j: int) -> Tensor:
        h = self.first.read(j)
        for block, row, (narrow, wide) in zip(self.blocks, self.rows, self.columns, strict=True):
            h = block.apply_to(h, narrow, row.at(j), wide)
        return self.head(h)

    def write(self, j: int, pixel: Tensor) -> None:
        self.first.write(j, pixel)

    def end(self) -> None:
        for row in (self.first, *self.rows):
            row.end()
