"""Where in its cell a value lies, decoded from the stack: evenly, or as the flow's own noise has it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.codec.bitsback.coding import code_transform
from pushforward.codec.bitsback.grid import GRID_BITS, NOISE_BINS, NOISE_REACH
from pushforward.codec.bitsback.layers import near
from pushforward.codec.bitsback.stack import BitStack
from pushforward.codec.registry import no_way_through
from pushforward.transforms.base import Transform
from pushforward.transforms.surjections.dequantization import Dequantization, VariationalDequantization

CELL = 1 << GRID_BITS
"""The grid points of a value's cell: the points count the levels of the data."""

_EDGE = 4 * NOISE_REACH * NOISE_BINS
"""So many grid points from an edge of a cell the narrowest noise still feels it."""

_FAR = 4.0


class CellNoise(ABC):
    """A distribution of the place in its cell, given the values ``(N, *event_shape)``."""

    @abstractmethod
    def draw(self, bits: BitStack, events: Tensor) -> Tensor:
        """Decode a grid point in each value's cell."""

    @abstractmethod
    def give_back(self, bits: BitStack, points: Tensor) -> None:
        """Encode what :meth:`draw` decoded."""


@singledispatch
def code_dequantization(part: Transform, shape: torch.Size) -> CellNoise:
    """Return how the noise of a dequantization of events of ``shape`` is drawn.

    A way to draw that of another class is added by ``@code_dequantization.register``.

    Raises:
        UsageError: if none is registered for the part's class.
    """
    raise no_way_through(part, "bitsback.dequantization.code_dequantization")


class EvenNoise(CellNoise):
    """All places alike."""

    def draw(self, bits: BitStack, events: Tensor) -> Tensor:
        return events * CELL + torch.from_numpy(bits.pop_uniform(_cells(events))).view(events.shape)

    def give_back(self, bits: BitStack, points: Tensor) -> None:
        bits.push_uniform((points % CELL).reshape(-1).numpy(), _cells(points))


class LearnedNoise(CellNoise):
    """``u = sigmoid(g(v; x))`` with a logistic ``v`` and the layers ``g`` of a flow that is given the image."""

    def __init__(self, part: VariationalDequantization, shape: torch.Size) -> None:
        self.part, self.layers = part, code_transform(part.noise, shape)

    def draw(self, bits: BitStack, events: Tensor) -> Tensor:
        given = self._condition(events)
        v = bits.draw_logistic(events.shape)
        for layer in self.layers:
            v = layer.push(bits, v, given)
        mean, scale = near(v, _sigmoid)
        points = bits.draw_within(mean + events, scale, events * CELL, CELL)
        bits.push_noise(v, *_source(points))
        return points

    def give_back(self, bits: BitStack, points: Tensor) -> None:
        events = points >> GRID_BITS
        given = self._condition(events)
        v = bits.pop_noise(*_source(points))
        mean, scale = near(v, _sigmoid)
        bits.give_back_within(points, mean + events, scale, events * CELL, CELL)
        for layer in reversed(self.layers):
            v = layer.pop(bits, v, given)
        bits.give_back_logistic(v)

    def _condition(self, events: Tensor) -> Tensor:
        return self.part._condition(events.double(), None)


@code_dequantization.register
def _(part: Dequantization, shape: torch.Size) -> CellNoise:
    return EvenNoise()


@code_dequantization.register
def _(part: VariationalDequantization, shape: torch.Size) -> CellNoise:
    return LearnedNoise(part, shape)


def _cells(events: Tensor) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.full(events.numel(), CELL, dtype=np.int64)


def _sigmoid(v: Tensor) -> tuple[Tensor, Tensor]:
    return torch.sigmoid(v), F.logsigmoid(v) + F.logsigmoid(-v)


def _logit(u: Tensor) -> tuple[Tensor, Tensor]:
    v = torch.logit(u)
    return v, -_sigmoid(v)[1]


def _source(points: Tensor) -> tuple[Tensor, Tensor]:
    """Where the ``v`` of a point lies, and how far from there: anywhere far out, where the point is at an edge."""
    inside = points % CELL
    # Half a grid point away from the edges.
    mean, scale = near(inside.double() + 0.5, _logit)
    return mean, torch.where((inside < _EDGE) | (inside >= CELL - _EDGE), _FAR, scale)
