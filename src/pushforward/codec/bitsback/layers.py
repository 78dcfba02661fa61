"""Layers that change grid points into other grid points, taking bits from the stack and putting bits on it.

Every layer is made of steps that change one part of the event element by element given the rest, so that no matrix is
ever needed: couplings as they are, autoregressive and triangular layers one dimension after the other.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from pushforward.codec.bitsback.grid import as_real
from pushforward.codec.bitsback.stack import BitStack
from pushforward.codec.exact.transforms import Reorder
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.autoregressive.autoregressive import Autoregressive
from pushforward.transforms.base import Transform
from pushforward.transforms.coupling.coupling import Coupling

NOISE = 2.0**-14
"""How far from its image a value is decoded, at most: far above the grid, far below what bends a layer."""

Scalar = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A map of elements: values in, values and log-derivatives out."""

Exchange = Callable[[BitStack, Tensor, Scalar, Scalar], Tensor]
"""Changes elements by a map and its inverse, with bits from the stack and to it."""


def exchange(bits: BitStack, x: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
    """Take ``z`` off the stack near ``forward(x)``, and put ``x`` on it near ``inverse(z)``."""
    z = bits.draw(*_near_latent(x, forward))
    bits.push_near(x, *_near_data(z, forward, inverse))
    return z


def exchange_back(bits: BitStack, z: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
    """Undo :func:`exchange`."""
    x = bits.pop_near(*_near_data(z, forward, inverse))
    bits.give_back(z, *_near_latent(x, forward))
    return x


def _near_latent(x: Tensor, forward: Scalar) -> tuple[Tensor, Tensor]:
    mean, log_slope = forward(as_real(x))
    return mean, NOISE * torch.exp(log_slope.clamp(max=0.0))


def _near_data(z: Tensor, forward: Scalar, inverse: Scalar) -> tuple[Tensor, Tensor]:
    mean = inverse(as_real(z))[0]
    # The noise is small on both sides: where the layer stretches, a data point is known the more exactly.
    return mean, NOISE * torch.exp(-forward(mean)[1].clamp(min=0.0))


def _maps_of(scalar: ScalarBijection, parameters: Tensor) -> tuple[Scalar, Scalar]:
    """A scalar bijection and its inverse with these parameters."""

    def forward(value: Tensor) -> tuple[Tensor, Tensor]:
        return scalar.forward(value, parameters)

    def inverse(value: Tensor) -> tuple[Tensor, Tensor]:
        return scalar.inverse(value, parameters)

    return forward, inverse


def _features(part: Transform, context: Tensor | None) -> Tensor | None:
    """The context as a part's network sees it, where it takes one."""
    return None if part.context is None or context is None else part.context.features(context)


class Layer(ABC):
    """A step of a flow on the grid. A subclass writes :meth:`run`."""

    def push(self, bits: BitStack, x: Tensor, context: Tensor | None = None) -> Tensor:
        """From data to latent."""
        return self.run(bits, x, context, exchange, backwards=False)

    def pop(self, bits: BitStack, z: Tensor, context: Tensor | None = None) -> Tensor:
        """From latent to data."""
        return self.run(bits, z, context, exchange_back, backwards=True)

    @abstractmethod
    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        """Change ``x`` step by step, each by an exchange with the stack; ``backwards`` in the order of the inverse."""


class ReorderingLayer(Layer):
    """A reordering: nothing to code."""

    def __init__(self, part: Transform, before: torch.Size) -> None:
        self.order = Reorder.from_transform(part, before)
        self.before, self.after = before, part.forward_shape(before)

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        if backwards:
            return self.order.move_back(x).reshape(len(x), *self.before)
        return self.order.move(x).reshape(len(x), *self.after)


class ElementwiseLayer(Layer):
    """A transform that maps each element by itself; its slope is found by automatic differentiation."""

    def __init__(self, part: Transform) -> None:
        self.part = part

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        given = None if self.part.context is None else context
        return exchange(bits, x, partial(self._forward, given), partial(self._inverse, given))

    def _forward(self, context: Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            inputs = x.detach().requires_grad_()
            z = self.part.encode(inputs, context)
            (slope,) = torch.autograd.grad(z.sum(), inputs)
        return z.detach(), slope.abs().log()

    def _inverse(self, context: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor]:
        x = self.part.decode(z, context)
        return x, -self._forward(context, x)[1]


class CouplingLayer(Layer):
    """A coupling: the kept part decides how the other is coded."""

    def __init__(self, part: Coupling) -> None:
        self.part = part

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        maps = _maps_of(self.part.scalar, self.part.scalar_parameters(as_real(x), _features(self.part, context)))
        split = self.part.partition
        return split.merge(x, exchange(bits, split.changed(x), *maps))


class TriangularLayer(Layer):
    """A triangular mixing of the channels, each in turn: a coupling of one channel given those that enter it."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        # A channel must be changed before those that enter it.
        upper = bool((matrix.tril(-1) == 0).all())
        self.turns = list(range(len(matrix))) if upper else list(reversed(range(len(matrix))))

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        x = x.clone()
        for turn in reversed(self.turns) if backwards else self.turns:
            x[:, turn] = exchange(bits, x[:, turn], *self._maps(x, turn))
        return x

    def _maps(self, x: Tensor, turn: int) -> tuple[Scalar, Scalar]:
        row = self.matrix[turn].clone()
        slope = float(row[turn])
        row[turn] = 0.0
        shift = (row[:, None, None] * as_real(x)).sum(1)
        log_slope = torch.full_like(shift, math.log(abs(slope)))

        def forward(value: Tensor) -> tuple[Tensor, Tensor]:
            return slope * value + shift, log_slope

        def inverse(value: Tensor) -> tuple[Tensor, Tensor]:
            return (value - shift) / slope, -log_slope

        return forward, inverse


class AutoregressiveLayer(Layer):
    """An autoregressive layer, one dimension after the other from the last: the dimensions before it are still data."""

    def __init__(self, part: Autoregressive) -> None:
        self.part = part

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        x, count = x.clone(), x.shape[-1]
        for place in range(count) if backwards else reversed(range(count)):
            maps = _maps_of(self.part.scalar, self._parameters(x, context, place))
            dimension = int(self.part.order[place])
            x[..., dimension] = exchange(bits, x[..., dimension], *maps)
        return x

    def _parameters(self, x: Tensor, context: Tensor | None, place: int) -> Tensor:
        ordered = as_real(x).index_select(-1, self.part.order)
        # What comes later must not even be added as zero times something.
        ordered[..., place:] = 0.0
        return self.part.parameters_in_order(ordered, _features(self.part, context))[..., place, :]


class ReversedLayer(Layer):
    """A layer run backwards."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        def turned(bits: BitStack, x: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
            return exchange(bits, x, inverse, forward)

        return self.layer.run(bits, x, context, turned, not backwards)
