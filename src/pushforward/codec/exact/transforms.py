"""Transforms of integer events in exact arithmetic. Events are integer tensors (N, C, H, W); vectors have H = W = 1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from pushforward.codec.exact.fixedpoint import IntegerDenseNet
from pushforward.codec.exact.tables import FRACTION_BITS
from pushforward.errors import CodecError
from pushforward.transforms.base import Transform

LARGEST_SHIFT = 2**22


class IntegerTransform(ABC):
    """An exactly invertible map of integer events given a context (N, C, H, W), C may be 0; networks see ``pixels``
    pixels at once."""

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor, pixels: int) -> Tensor:
        """From data to latent."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor, pixels: int) -> Tensor:
        """From latent to data."""

    @abstractmethod
    def turned(self) -> Sequence[IntegerTransform]:
        """The inverse as transforms."""


@dataclass
class Reorder(IntegerTransform):
    """The elements of the event in another order and shape: permutations, squeezes, interlacing.

    >>> order = Reorder(torch.tensor([2, 0, 1]), (3, 1, 1), (3, 1, 1))
    >>> order.move(torch.tensor([[10, 20, 30]])).flatten().tolist()
    [30, 10, 20]
    """

    order: Tensor
    before: tuple[int, ...]
    after: tuple[int, ...]

    def __post_init__(self) -> None:
        if prod(self.before) != prod(self.after) or not torch.equal(
            self.order.sort().values, torch.arange(prod(self.before), device=self.order.device)
        ):
            raise CodecError("the exported model holds an order that is no permutation: it is damaged")
        self._inverse = torch.argsort(self.order)

    @classmethod
    def from_transform(cls, part: Transform, shape: torch.Size) -> Reorder:
        """A transform that only moves elements of events of ``shape``, read off from what it does to their numbers."""
        numbers = torch.arange(shape.numel(), dtype=torch.float64).reshape(shape)
        moved = part.to("cpu")(numbers)[0]
        return cls(moved.flatten().round().long(), as_image(shape), as_image(moved.shape))

    def move(self, x: Tensor) -> Tensor:
        """Events in their new order."""
        return x.reshape(len(x), -1)[:, self.order.to(x.device)].reshape(len(x), *self.after)

    def move_back(self, z: Tensor) -> Tensor:
        """Events in their old order."""
        return z.reshape(len(z), -1)[:, self._inverse.to(z.device)].reshape(len(z), *self.before)

    def forward(self, x: Tensor, context: Tensor, pixels: int) -> Tensor:
        return self.move(x)

    def inverse(self, z: Tensor, context: Tensor, pixels: int) -> Tensor:
        return self.move_back(z)

    def turned(self) -> list[IntegerTransform]:
        return [Reorder(self._inverse, self.after, self.before)]

    def then(self, other: Reorder) -> Reorder:
        """This order and the other one behind it, as one."""
        return Reorder(self.order[other.order], self.before, other.after)


@dataclass
class IntegerShift:
    """A shift by ``round(unit t)``, modulo ``levels`` where that is not 0; ``unit`` in multiples of 2^-10."""

    network: IntegerDenseNet
    unit: int
    levels: int

    def __call__(self, x: Tensor, others: Tensor, context: Tensor, sign: int, pixels: int) -> Tensor:
        parameters = self.network.given(others, context, pixels).long().permute(0, 3, 1, 2)
        shift = parameters * self.unit + 2 ** (FRACTION_BITS + 9) >> FRACTION_BITS + 10
        moved = x + sign * shift.clamp_(-LARGEST_SHIFT, LARGEST_SHIFT)
        return torch.remainder(moved, self.levels) if self.levels else moved

    def turned(self) -> IntegerShift:
        """The shift by as much in the other direction."""
        return replace(self, unit=-self.unit)


@dataclass
class IntegerParts(IntegerTransform):
    """An event in parts, each shifted given all the others in their latest state (proposition 3.1, Tomczak 2020)."""

    parts: tuple[int, ...]
    shifts: list[IntegerShift | None]
    first_shifts: list[IntegerShift | None]

    def __post_init__(self) -> None:
        if not len(self.parts) == len(self.shifts) == len(self.first_shifts):
            raise CodecError("the exported coupling is damaged: it has not one shift for each part")

    def forward(self, x: Tensor, context: Tensor, pixels: int) -> Tensor:
        pieces = list(x.split(self.parts, 1))
        for index in range(len(pieces)):
            first, shift = self.first_shifts[index], self.shifts[index]
            if first is not None:
                pieces[index] = first(pieces[index], torch.cat(pieces[:index], 1), context, 1, pixels)
            if shift is not None:
                pieces[index] = shift(pieces[index], _others(pieces, index), context, 1, pixels)
        return torch.cat(pieces, 1)

    def inverse(self, z: Tensor, context: Tensor, pixels: int) -> Tensor:
        pieces = list(z.split(self.parts, 1))
        for index in reversed(range(len(pieces))):
            first, shift = self.first_shifts[index], self.shifts[index]
            if shift is not None:
                pieces[index] = shift(pieces[index], _others(pieces, index), context, -1, pixels)
            if first is not None:
                pieces[index] = first(pieces[index], torch.cat(pieces[:index], 1), context, -1, pixels)
        return torch.cat(pieces, 1)

    def turned(self) -> list[IntegerTransform]:
        steps: list[IntegerTransform] = []
        nothing: list[IntegerShift | None] = [None] * len(self.parts)
        for index in reversed(range(len(self.parts))):
            first, shift = self.first_shifts[index], self.shifts[index]
            if shift is not None:
                steps.append(replace(self, shifts=_only(index, shift.turned(), nothing), first_shifts=nothing))
            if first is not None:
                steps.append(replace(self, shifts=nothing, first_shifts=_only(index, first.turned(), nothing)))
        return steps


def as_image(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of events as images: a vector's features are channels of one pixel.

    >>> as_image((5,)), as_image((3, 4, 4))
    ((5, 1, 1), (3, 4, 4))
    """
    return tuple(shape) if len(shape) == 3 else (*shape, 1, 1)


def _others(pieces: list[Tensor], index: int) -> Tensor:
    return torch.cat([*pieces[:index], *pieces[index + 1 :]], 1)


def _only(index: int, shift: IntegerShift, nothing: list[IntegerShift | None]) -> list[IntegerShift | None]:
    return [*nothing[:index], shift, *nothing[index + 1 :]]
