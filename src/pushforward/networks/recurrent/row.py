"""Row LSTM: a state for every pixel of a row, from the states of the row above."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.networks.context import Context
from pushforward.networks.masked.images.rows import Column, plane_term
from pushforward.networks.masked.images.stacks import HorizontalConvolution
from pushforward.networks.recurrent.cell import lstm_cell
from pushforward.networks.recurrent.pixelrnn import PixelRNN, RecurrentLayer, RecurrentRow


class RowLSTM(PixelRNN):
    r"""PixelRNN of Row LSTM layers: the gates of a pixel are a masked convolution of its row and a convolution of the
    states of the row above, ``gates_i = K_is * x_i + K_ss * h_{i-1}``, so that it sees a triangle above it.

    Args:
        inputs, outputs, context, numbers, center, unit: as for every :class:`PixelNetwork`.
        hidden: channels of the states; there are twice as many between the layers.
        layers: the number of recurrent layers.
        first_kernel: the side of the first, masked convolution's kernel, odd.
        dropout: the share of states that training leaves out.

    Raises:
        UsageError: if channels and outputs do not fit.
        ShapeError: if the input is not ``(..., C, H, W)``, or the context is missing or does not fit.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.

    Example:
        >>> RowLSTM(3, 6, hidden=6, layers=1)(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int = 32,
        layers: int = 7,
        first_kernel: int = 7,
        dropout: float = 0.0,
        numbers: int = 1,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__(inputs, outputs, context, hidden, layers, first_kernel, dropout, numbers, center, unit)

    def _layer(self, in_degrees: Sequence[int], degrees: Sequence[int]) -> RecurrentLayer:
        return RowLayer(in_degrees, degrees)


class RowLayer(RecurrentLayer):
    """A Row LSTM layer, whose convolutions have kernels of three pixels."""

    def __init__(self, in_degrees: Sequence[int], degrees: Sequence[int]) -> None:
        super().__init__()
        self.hidden = len(degrees)
        self.inputs = HorizontalConvolution(in_degrees, [*degrees] * 4, 3, strict=False)
        self.states = nn.Conv1d(self.hidden, 4 * self.hidden, 3, padding=1, bias=False)

    def forward(self, x: Tensor, term: Tensor) -> Tensor:
        gates = self.inputs(x) + term
        state = memory = x.new_zeros(x.shape[0], self.hidden, x.shape[-1])
        states: list[Tensor] = []
        for row in gates.unbind(2):
            state, memory = lstm_cell(row + self.states(state), memory)
            states.append(state)
        return torch.stack(states, 2)

    def rows(self, rows: int, width: int) -> RecurrentRow:
        return RowLayerRow(self, rows, width)


class RowLayerRow(RecurrentRow):
    """A Row LSTM layer at one pixel of a row after the other."""

    def __init__(self, layer: RowLayer, rows: int, width: int) -> None:
        self.layer = layer
        self.inputs = layer.inputs.row(rows, width)
        shape = rows, layer.hidden, width
        self.state, self.memory = layer.states.weight.new_zeros(shape), layer.states.weight.new_zeros(shape)

    def begin(self, term: Tensor) -> None:
        above = self.layer.states(self.state)[:, :, None]
        self.inputs.begin(plane_term(self.layer.inputs.bias, term + above))
        self.memories = self.memory.unbind(2)
        self.following: list[tuple[Tensor, Tensor]] = []

    def at(self, j: int) -> Column:
        def apply(x: Tensor) -> Tensor:
            state, memory = lstm_cell(self.inputs.at(j)(x), self.memories[j])
            self.following[j:] = [(state, memory)]
            return state

        return apply

    def end(self) -> None:
        states, memories = zip(*self.following, strict=True)
        self.state, self.memory = torch.stack(states, 2), torch.stack(memories, 2)
