"""Layers that change grid points into other grid points, taking bits from the stack and putting bits on it.

Every layer is made of steps that change one part of the event element by element given the rest, so that no matrix is
ever needed: couplings as they are, autoregressive layers one dimension after the other. A mixing of channels is lifting
steps, which take no bits at all, and a scaling.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from pushforward.codec.bitsback.grid import FARTHEST, GRID_BITS, NOISE_BINS, as_real
from pushforward.codec.bitsback.stack import BitStack
from pushforward.codec.exact.transforms import Reorder
from pushforward.errors import CodecError
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.autoregressive.autoregressive import Autoregressive
from pushforward.transforms.base import Transform
from pushforward.transforms.coupling.coupling import Coupling

NOISE = 2.0**-12
"""How far from its image a value is decoded, at most: far above the grid, far below what bends a layer."""

LEAST_NOISE = 2 * NOISE_BINS * 2.0**-GRID_BITS
"""The narrowest noise that the grid resolves."""

Scalar = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A map of elements: values in, values and log-derivatives out."""

Exchange = Callable[[BitStack, Tensor, Scalar, Scalar], Tensor]
"""Changes elements by a map and its inverse, with bits from the stack and to it."""


def exchange(bits: BitStack, x: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
    """Take ``z`` off the stack near ``forward(x)``, and put ``x`` on it near ``inverse(z)``."""
    z = bits.draw(*near(x, forward))
    bits.push_noise(x, *near(z, inverse))
    return z


def exchange_back(bits: BitStack, z: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
    """Undo :func:`exchange`."""
    x = bits.pop_noise(*near(z, inverse))
    bits.give_back(z, *near(x, forward))
    return x


def near(x: Tensor, function: Scalar) -> tuple[Tensor, Tensor]:
    """Where a map takes grid points, and the noise of the image.

    Of the noises on the two sides of a map of slope ``s`` one is ``s`` times the other. The larger of the two is
    :data:`NOISE`, but neither is less than the grid resolves.
    """
    mean, log_slope = function(as_real(x))
    slope = torch.exp(log_slope)
    return mean, torch.maximum(NOISE * slope.clamp(max=1.0), LEAST_NOISE * slope.clamp(min=1.0))


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
    """Transforms that map each element by itself, in turn; their slope is found by automatic differentiation."""

    def __init__(self, *parts: Transform) -> None:
        self.parts = parts

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        return exchange(bits, x, partial(self._forward, context), partial(self._inverse, context))

    def _forward(self, context: Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            inputs = z = x.detach().requires_grad_()
            for part in self.parts:
                z = part.encode(z, _context_of(part, context))
            (slope,) = torch.autograd.grad(z.sum(), inputs)
        return z.detach(), slope.abs().log()

    def _inverse(self, context: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor]:
        x = z
        for part in reversed(self.parts):
            x = part.decode(x, _context_of(part, context))
        return x, -self._forward(context, x)[1]


def _context_of(part: Transform, context: Tensor | None) -> Tensor | None:
    return None if part.context is None else context


class CouplingLayer(Layer):
    """A coupling: the kept part decides how the other is coded."""

    def __init__(self, part: Coupling) -> None:
        self.part = part

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        maps = _maps_of(self.part.scalar, self.part.scalar_parameters(as_real(x), _features(self.part, context)))
        split = self.part.partition
        return split.merge(x, exchange(bits, split.changed(x), *maps))


class ScalingLayer(Layer):
    """Elements times numbers that broadcast to the event: one a channel, or one a feature."""

    def __init__(self, scale: Tensor) -> None:
        self.scale, self.log_scale = scale, scale.abs().log()

    def then(self, other: ScalingLayer) -> ScalingLayer:
        """This scaling and another one behind it, as one."""
        return ScalingLayer(self.scale * other.scale)

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        return exchange(bits, x, self._forward, self._inverse)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * self.scale, self.log_scale.expand(x.shape)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z / self.scale, -self.log_scale.expand(z.shape)


class ShiftLayer(Layer):
    """Elements less numbers that broadcast to the event, rounded to grid points: nothing to code."""

    def __init__(self, location: Tensor) -> None:
        self.points = (location * 2.0**GRID_BITS).round().long()

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        return x + self.points if backwards else x - self.points


class LiftingLayer(Layer):
    """A unit triangular mixing of the channels by lifting steps: each channel is moved by a rounded sum of those that
    enter it, which is undone exactly and takes no bits (Calderbank, Daubechies, Sweldens, Yeo 1998)."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self.rows = (matrix - torch.diag(matrix.diagonal()))[..., None, None]
        # A channel must be moved before those that enter it.
        upper = bool((matrix.tril(-1) == 0).all())
        self.turns = list(range(len(matrix))) if upper else list(reversed(range(len(matrix))))

    def before(self, scaling: ScalingLayer) -> LiftingLayer:
        """The mixing that, in front of a scaling, is what this one is behind it: ``S^-1 L S``."""
        scale = scaling.scale.flatten()
        return LiftingLayer(self.matrix * scale / scale[:, None])

    def run(self, bits: BitStack, x: Tensor, context: Tensor | None, exchange: Exchange, backwards: bool) -> Tensor:
        x, sign = x.clone(), -1 if backwards else 1
        for turn in reversed(self.turns) if backwards else self.turns:
            # Channels that do not enter are added as zero times a number: the sum is the same whatever they hold.
            moved = (self.rows[turn] * x.double()).sum(1)
            if not bool((moved.abs() < FARTHEST * 2.0**GRID_BITS).all()):
                raise CodecError("the flow leads too far out to be coded")
            x[:, turn] += sign * moved.round().long()
        return x


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
