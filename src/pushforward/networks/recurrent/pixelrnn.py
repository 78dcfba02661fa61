"""PixelRNN: recurrent layers over the pixels before a pixel, with residual connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from pushforward.networks.context import Context
from pushforward.networks.masked.convolution import MaskedConvolution
from pushforward.networks.masked.images.base import PixelNetwork, PixelSweep, hidden_degrees
from pushforward.networks.masked.images.conditions import Condition, ConditionTerm
from pushforward.networks.masked.images.pixelcnn import PixelHead
from pushforward.networks.masked.images.rows import Column, column, masked_row, plane_term


class RecurrentLayer(nn.Module, ABC):
    """A causal recurrent layer of images, with states of as many channels as it has degrees."""

    @abstractmethod
    def forward(self, x: Tensor, term: Tensor) -> Tensor:
        """Return the states ``(N, h, H, W)`` for inputs ``(N, C, H, W)``; ``term`` is added to all gates."""

    @abstractmethod
    def rows(self, rows: int, width: int) -> RecurrentRow:
        """The layer, one pixel after the other."""


class RecurrentRow(ABC):
    """A recurrent layer at one pixel of a row after the other."""

    @abstractmethod
    def begin(self, term: Tensor) -> None:
        """Begin a row, to whose gates ``term`` is added."""

    @abstractmethod
    def at(self, j: int) -> Column:
        """The layer at pixel ``j``, from inputs ``(rows, C)`` to states ``(rows, h)``."""

    @abstractmethod
    def end(self) -> None:
        """Keep the row for those below."""


class PixelRNN(PixelNetwork):
    """What recurrent causal networks of images share: a masked convolution, and layers whose states are added."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context,
        hidden: int,
        layers: int,
        first_kernel: int,
        dropout: float,
        numbers: int,
        center: float,
        unit: float,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers, center, unit)
        degrees, wide = hidden_degrees(hidden, self.variables), hidden_degrees(2 * hidden, self.variables)
        given = self.context_channels
        self.first = MaskedConvolution(self.input_degrees, wide, first_kernel, strict=True)
        self.first_term = ConditionTerm(2 * hidden, given)
        self.layers = nn.ModuleList(self._layer(wide, degrees) for _ in range(layers))
        self.terms = nn.ModuleList(ConditionTerm(4 * hidden, given) for _ in range(layers))
        self.wide = nn.ModuleList(MaskedConvolution(degrees, wide, 1) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.head = PixelHead(wide, self.output_degrees)

    @abstractmethod
    def _layer(self, in_degrees: Sequence[int], degrees: Sequence[int]) -> RecurrentLayer:
        """A layer from channels of some degrees to states of others."""

    def _evaluate(self, x: Tensor, condition: Condition) -> Tensor:
        h = self.first(x) + self.first_term(condition)
        for layer, term, wide in zip(self.layers, self.terms, self.wide, strict=True):
            h = h + wide(self.dropout(layer(h, term(condition))))
        return self.head(h)

    def _sweep(self, rows: int, width: int) -> PixelSweep:
        return PixelRNNSweep(self, rows, width)


class PixelRNNSweep(PixelSweep):
    """A PixelRNN's evaluation, one pixel after the other."""

    def __init__(self, network: PixelRNN, rows: int, width: int) -> None:
        self.network = network
        self.first = masked_row(network.first, rows, width)
        self.layers: list[RecurrentRow] = [layer.rows(rows, width) for layer in network.layers]  # type: ignore[operator]
        self.wide = [column(wide) for wide in network.wide]  # type: ignore[arg-type]
        self.head = network.head.column()

    def begin(self, condition: Condition) -> None:
        self.first.begin(plane_term(self.network.first.bias, self.network.first_term(condition)))
        for layer, term in zip(self.layers, self.network.terms, strict=True):
            layer.begin(term(condition))

    def outputs(self, j: int) -> Tensor:
        h = self.first.read(j)
        for layer, wide in zip(self.layers, self.wide, strict=True):
            h = h + wide(self.network.dropout(layer.at(j)(h)))
        return self.head(h)

    def write(self, j: int, pixel: Tensor) -> None:
        self.first.write(j, pixel)

    def end(self) -> None:
        self.first.end()
        for layer in self.layers:
            layer.end()
