"""Diagonal BiLSTM: states along the diagonals, from both sides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.context import Context
from pushforward.networks.masked.convolution import MaskedConvolution
from pushforward.networks.masked.images.rows import Column, plane_term
from pushforward.networks.recurrent.cell import lstm_cell
from pushforward.networks.recurrent.pixelrnn import PixelRNN, RecurrentLayer, RecurrentRow
from pushforward.networks.recurrent.skew import skew, unskew


class DiagonalBiLSTM(PixelRNN):
    r"""PixelRNN of Diagonal BiLSTM layers: the state of a pixel comes of those to its left and above, in the skewed
    image the two neighbours in the column before; another state comes from the right, and is moved down by a row. A
    single layer sees all pixels before but the last of the row above, which the first convolution's mask hides there.

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
        >>> DiagonalBiLSTM(3, 6, hidden=6, layers=1)(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int = 16,
        layers: int = 7,
        first_kernel: int = 7,
        dropout: float = 0.0,
        numbers: int = 1,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__(inputs, outputs, context, hidden, layers, first_kernel, dropout, numbers, center, unit)

    def _layer(self, in_degrees: Sequence[int], degrees: Sequence[int]) -> RecurrentLayer:
        return DiagonalLayer(in_degrees, degrees)


class DiagonalLayer(RecurrentLayer):
    """A Diagonal BiLSTM layer. What comes from the right is of whole rows above, so its inputs need no mask."""

    def __init__(self, in_degrees: Sequence[int], degrees: Sequence[int]) -> None:
        super().__init__()
        self.hidden = len(degrees)
        self.from_left = MaskedConvolution(in_degrees, [*degrees] * 4, 1)
        self.left_states = DiagonalStates(self.hidden)
        self.from_right = nn.Conv2d(len(in_degrees), 4 * self.hidden, 1)
        self.right_states = DiagonalStates(self.hidden)

    def forward(self, x: Tensor, term: Tensor) -> Tensor:
        left = self.left_states(self.from_left(x) + term)
        right = self.right_states((self.from_right(x) + term).flip(-1)).flip(-1)
        return left + F.pad(right, (0, 0, 1, -1))

    def rows(self, rows: int, width: int) -> RecurrentRow:
        return DiagonalLayerRow(self, rows, width)


class DiagonalStates(nn.Module):
    """The states of one direction, ``gates[i, j] + K (h[i - 1, j], h[i, j - 1])`` into a cell."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.above = nn.Linear(hidden, 4 * hidden, bias=False)
        self.beside = nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, gates: Tensor) -> Tensor:
        """Return the states ``(N, h, H, W)`` for what comes in, ``(N, 4 h, H, W)``, one diagonal after the other."""
        batch, channels, height, width = gates.shape
        # Outside of the image all gates are zero, and so are the states that nothing has entered.
        diagonals = skew(gates).permute(3, 0, 2, 1).reshape(width + height - 1, batch * height, channels)
        weight = torch.cat([self.above.weight, self.beside.weight], 1).t()
        state = memory = gates.new_zeros(batch * height, channels // 4)
        states: list[Tensor] = []
        for diagonal in diagonals.unbind(0):
            above = F.pad(state.unflatten(0, (batch, height)), (0, 0, 1, -1)).flatten(0, 1)
            gate = torch.addmm(diagonal, torch.cat([above, state], 1), weight)
            state, memory = lstm_cell(gate, memory)
            states.append(state)
        return unskew(torch.stack(states).unflatten(1, (batch, height)).permute(1, 3, 2, 0))


class DiagonalLayerRow(RecurrentRow):
    """A Diagonal BiLSTM layer at one pixel of a row after the other; the states from the right when the row ends."""

    def __init__(self, layer: DiagonalLayer, rows: int, width: int) -> None:
        self.layer = layer
        weight, self.hidden = layer.from_left.masked_weight[:, :, 0, 0], layer.hidden
        self.left_weight = torch.cat([weight, layer.left_states.beside.weight], 1).t().contiguous()
        nothing = weight.new_zeros(rows, self.hidden)
        self.inputs = [weight.new_zeros(rows, weight.shape[1])] * width
        # The place before the first pixel holds the zeros that come in from the side.
        self.left, self.memory = [nothing] * (width + 1), [nothing] * (width + 1)
        self.right = weight.new_zeros(width, rows, self.hidden)

    def begin(self, term: Tensor) -> None:
        term = term.expand(-1, -1, 1, len(self.inputs))
        self.term = term
        above = self.layer.left_states.above(torch.stack(self.left[1:]))
        self.gates = above + _by_pixel(plane_term(self.layer.from_left.bias, term))

    def at(self, j: int) -> Column:
        def apply(x: Tensor) -> Tensor:
            self.inputs[j] = x
            gates = torch.addmm(self.gates[j], torch.cat([x, self.left[j]], 1), self.left_weight)
            self.left[j + 1], self.memory[j + 1] = lstm_cell(gates, self.memory[j])
            return self.left[j + 1] + self.right[j]

        return apply

    def end(self) -> None:
        layer, weight = self.layer.right_states, self.layer.from_right.weight[:, :, 0, 0]
        gates = F.linear(torch.stack(self.inputs), weight, self.layer.from_right.bias)
        gates = gates + layer.above(self.right) + _by_pixel(self.term)
        beside = layer.beside.weight.t()
        state = memory = torch.zeros_like(self.right[0])
        states: list[Tensor] = []
        for gate in gates.flip(0).unbind(0):
            state, memory = lstm_cell(torch.addmm(gate, state, beside), memory)
            states.append(state)
        self.right = torch.stack(states).flip(0)


def _by_pixel(row: Tensor) -> Tensor:
    """A row ``(N, C, 1, W)`` as ``(W, N, C)``."""
    return row.squeeze(2).permute(2, 0, 1)
