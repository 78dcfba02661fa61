"""Integer discrete flows in exact arithmetic: the same bits on every machine, batch size, thread count and device.

Each part mirrors one part of the float flow. Events are integer tensors (N, C, H, W); vectors have H = W = 1.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec.entropy import AnsCoder, ideal_bits
from pushforward.codec.exact.fixedpoint import IntegerDenseNet, exact_arithmetic
from pushforward.codec.exact.masses import IntegerMass, Symbols
from pushforward.codec.exact.tables import FRACTION_BITS
from pushforward.errors import CodecError

LARGEST_SHIFT = 2**22
PIXELS = 4096
"""Pixels that a network sees at once: few, so that its activations stay in the processor's cache."""


class Decision(NamedTuple):
    """Rows of weights for the entropy coder, and which latent they belong to, counted from the deepest."""

    weights: NDArray[np.number[Any]]
    latent: int


Walk = Generator[Decision, Symbols, Tensor]
"""Yields decisions in coding order, is sent the symbols, and returns the events that they make."""


class IntegerTransform:
    """An exactly invertible map of integer events; networks see ``pixels`` pixels at once."""

    def forward(self, x: Tensor, pixels: int) -> Tensor:
        raise NotImplementedError("an IntegerTransform is abstract")

    def inverse(self, z: Tensor, pixels: int) -> Tensor:
        raise NotImplementedError("an IntegerTransform is abstract")


class IntegerBase:
    """A distribution of integer events as a walk through decisions; ``latents`` is how many tensors it is made of."""

    latents: int = 1

    def walk(self, context: Tensor, pixels: int) -> Walk:
        """Go through the decisions that make one event for each context (N, C, H, W), C may be 0."""
        raise NotImplementedError("an IntegerBase is abstract")

    def symbols(self, x: Tensor, pixels: int) -> Iterator[Symbols]:
        """The symbols that lead :meth:`walk` to ``x``, in its order."""
        raise NotImplementedError("an IntegerBase is abstract")


@dataclass
class Reorder(IntegerTransform):
    """The elements of the event in another order and shape: permutations, squeezes, interlacing."""

    order: Tensor
    before: tuple[int, ...]
    after: tuple[int, ...]

    def __post_init__(self) -> None:
        if prod(self.before) != prod(self.after) or not torch.equal(
            self.order.sort().values, torch.arange(prod(self.before), device=self.order.device)
        ):
            raise CodecError("the exported model holds an order that is no permutation: it is damaged")
        self._inverse = torch.argsort(self.order)

    def forward(self, x: Tensor, pixels: int) -> Tensor:
        return x.reshape(len(x), -1)[:, self.order.to(x.device)].reshape(len(x), *self.after)

    def inverse(self, z: Tensor, pixels: int) -> Tensor:
        return z.reshape(len(z), -1)[:, self._inverse.to(z.device)].reshape(len(z), *self.before)


@dataclass
class IntegerShift:
    """A shift by ``round(unit t)``, modulo ``levels`` where that is not 0; ``unit`` in multiples of 2^-10."""

    network: IntegerDenseNet
    unit: int
    levels: int

    def __call__(self, x: Tensor, seen: Tensor, sign: int, pixels: int) -> Tensor:
        parameters = self.network(seen, pixels).long().permute(0, 3, 1, 2)
        shift = parameters * self.unit + 2 ** (FRACTION_BITS + 9) >> FRACTION_BITS + 10
        moved = x + sign * shift.clamp_(-LARGEST_SHIFT, LARGEST_SHIFT)
        return torch.remainder(moved, self.levels) if self.levels else moved


@dataclass
class IntegerParts(IntegerTransform):
    """An event in parts, each shifted given all the others in their latest state (proposition 3.1, Tomczak 2020)."""

    parts: tuple[int, ...]
    shifts: list[IntegerShift | None]
    first_shifts: list[IntegerShift | None]

    def __post_init__(self) -> None:
        if not len(self.parts) == len(self.shifts) == len(self.first_shifts):
            raise CodecError("the exported coupling is damaged: it has not one shift for each part")

    def forward(self, x: Tensor, pixels: int) -> Tensor:
        pieces = list(x.split(self.parts, 1))
        for index in range(len(pieces)):
            first, shift = self.first_shifts[index], self.shifts[index]
            if first is not None:
                pieces[index] = first(pieces[index], torch.cat(pieces[:index], 1), 1, pixels)
            if shift is not None:
                pieces[index] = shift(pieces[index], _others(pieces, index), 1, pixels)
        return torch.cat(pieces, 1)

    def inverse(self, z: Tensor, pixels: int) -> Tensor:
        pieces = list(z.split(self.parts, 1))
        for index in reversed(range(len(pieces))):
            first, shift = self.first_shifts[index], self.shifts[index]
            if shift is not None:
                pieces[index] = shift(pieces[index], _others(pieces, index), -1, pixels)
            if first is not None:
                pieces[index] = first(pieces[index], torch.cat(pieces[:index], 1), -1, pixels)
        return torch.cat(pieces, 1)


def _others(pieces: list[Tensor], index: int) -> Tensor:
    return torch.cat([*pieces[:index], *pieces[index + 1 :]], 1)


@dataclass
class IntegerGroups(IntegerBase):
    """Channels in groups, each given the context and the groups before it. ``biases`` are (H, W, channels, P) a group;
    a group without a network has these alone."""

    mass: IntegerMass
    groups: tuple[int, ...]
    networks: list[IntegerDenseNet | None]
    biases: list[Tensor]

    def __post_init__(self) -> None:
        fits = len(self.groups) == len(self.networks) == len(self.biases) and all(
            bias.dim() == 4 and bias.shape[2] == group for bias, group in zip(self.biases, self.groups)
        )
        if not fits:
            raise CodecError("the exported base is damaged: its groups do not fit")
        self._bounds = list(pairwise(accumulate(self.groups, initial=0)))

    def walk(self, context: Tensor, pixels: int) -> Walk:
        height, width = self.biases[0].shape[:2]
        x = context.new_zeros((len(context), 0, height, width))
        context = context if context.shape[1] else x
        for network, bias in zip(self.networks, self.biases):
            parameters = self._parameters(network, bias, torch.cat([x, context], 1), pixels)
            walk = self.mass.walk(parameters)
            values = yield from _label(walk, 0)
            x = torch.cat([x, values.reshape(len(x), height, width, -1).permute(0, 3, 1, 2)], 1)
        return x

    def symbols(self, x: Tensor, pixels: int) -> Iterator[Symbols]:
        for start, stop in self._bounds:
            yield from self.mass.symbols(x[:, start:stop].permute(0, 2, 3, 1).reshape(-1))

    def _parameters(self, network: IntegerDenseNet | None, bias: Tensor, seen: Tensor, pixels: int) -> Tensor:
        bias = bias.to(seen.device).double()
        spread = bias.expand(len(seen), *bias.shape)
        if network is not None:
            spread = network(seen, pixels).reshape(spread.shape) + bias
        return spread.reshape(-1, bias.shape[-1])


@dataclass
class IntegerFlow(IntegerBase):
    """A chain of transforms and the base of what they make."""

    transforms: list[IntegerTransform]
    base: IntegerBase

    def __post_init__(self) -> None:
        self.latents = self.base.latents

    def walk(self, context: Tensor, pixels: int) -> Walk:
        z = yield from self.base.walk(context, pixels)
        for transform in reversed(self.transforms):
            z = transform.inverse(z, pixels)
        return z

    def symbols(self, x: Tensor, pixels: int) -> Iterator[Symbols]:
        for transform in self.transforms:
            x = transform.forward(x, pixels)
        yield from self.base.symbols(x, pixels)


@dataclass
class IntegerFactorOut(IntegerBase):
    """The first ``kept`` channels flow on in ``rest``; the others end in ``split``, given the kept ones."""

    kept: int
    split: IntegerBase
    rest: IntegerBase

    def __post_init__(self) -> None:
        self.latents = self.rest.latents + self.split.latents

    def walk(self, context: Tensor, pixels: int) -> Walk:
        kept = yield from self.rest.walk(context, pixels)
        walk = self.split.walk(kept, pixels)
        try:
            decision = next(walk)
            while True:
                symbols = yield Decision(decision.weights, decision.latent + self.rest.latents)
                decision = walk.send(symbols)
        except StopIteration as stop:
            return torch.cat([kept, stop.value], 1)

    def symbols(self, x: Tensor, pixels: int) -> Iterator[Symbols]:
        yield from self.rest.symbols(x[:, : self.kept], pixels)
        yield from self.split.symbols(x[:, self.kept :], pixels)


def _label(walk: Generator[NDArray[np.number[Any]], Symbols, Tensor], latent: int) -> Walk:
    """The decisions of one mass function, told which latent they belong to."""
    try:
        weights = next(walk)
        while True:
            weights = walk.send((yield Decision(weights, latent)))
    except StopIteration as stop:
        return stop.value


class PortableFlow:
    """An integer discrete flow whose every bit is defined: a :class:`CodecModel`.

    Args:
        flow: the exported parts.
        event_shape: the data's events, ``(C, H, W)`` or ``(D,)``.
        low, high: the range of the data's values.
        fingerprint: what identifies the model, of 16 bytes.
        batch_size: how many events the networks see at once; it changes the speed, never a bit.
    """

    block_elements = 2**18

    def __init__(
        self,
        flow: IntegerBase,
        event_shape: tuple[int, ...],
        low: int,
        high: int,
        fingerprint: bytes,
        batch_size: int | None = None,
    ) -> None:
        self.flow = flow
        self.event_shape = tuple(event_shape)
        self.low, self.high = low, high
        self.fingerprint = fingerprint
        plane = prod(self.event_shape[1:])
        self.pixels = PIXELS if batch_size is None else batch_size * plane
        self.device = torch.device("cpu")

    def to(self, device: str | torch.device) -> PortableFlow:
        """The same model, its networks computed on ``device``: the bits are the same."""
        moved = copy.copy(self)
        moved.device = torch.device(device)
        return moved

    @property
    def latents(self) -> int:
        """How many latents an event has; decoding goes from the deepest (number 0) on."""
        return self.flow.latents

    def push(self, coder: AnsCoder, x: Tensor) -> None:
        """Encode events (N, *event_shape) of integers."""
        # What is decoded first is pushed last.
        for symbols, weights in reversed(list(self._decisions(x))):
            coder.push(symbols, weights)

    def pop(self, coder: AnsCoder, count: int) -> Tensor:
        """Decode the ``count`` events that were pushed last."""
        return self._run(count, lambda decision: coder.pop(decision.weights))

    def preview(self, coder: AnsCoder, count: int, latents: int, seed: int = 0) -> Tensor:
        """Decode the deepest ``latents`` latents and draw the others from the model."""
        generator = np.random.default_rng(seed)

        def choose(decision: Decision) -> Symbols:
            if decision.latent < latents:
                return coder.pop(decision.weights)
            return _draw(decision.weights, generator)

        return self._run(count, choose)

    def bits(self, x: Tensor) -> float:
        """-log2 of the probability of all events together, by the integer tables."""
        return sum(ideal_bits(symbols, weights) for symbols, weights in self._decisions(x))

    def _decisions(self, x: Tensor) -> Iterator[tuple[Symbols, NDArray[np.number[Any]]]]:
        events = self._as_images(x)
        if len(events) and (int(events.min()) < self.low or int(events.max()) > self.high):
            raise CodecError(f"the model codes integers from {self.low} to {self.high}")
        with exact_arithmetic():
            symbols = list(self.flow.symbols(events, self.pixels))
            walk = self.flow.walk(self._no_context(len(events)), self.pixels)
            decision = next(walk)
            for chosen in symbols[:-1]:
                yield chosen, decision.weights
                decision = walk.send(chosen)
            yield symbols[-1], decision.weights

    def _run(self, count: int, choose: Any) -> Tensor:
        with exact_arithmetic():
            walk = self.flow.walk(self._no_context(count), self.pixels)
            try:
                decision = next(walk)
                while True:
                    decision = walk.send(choose(decision))
            except StopIteration as stop:
                events = stop.value
        # Networks of a damaged block may wander off; a wrong value is the checksum's business, an impossible one ours.
        if len(events) and (int(events.min()) < self.low or int(events.max()) > self.high):
            raise CodecError("a block decodes to values that the model does not have: it is damaged")
        return events.reshape(count, *self.event_shape).cpu()

    def _as_images(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.event_shape or x.is_floating_point():
            raise CodecError(
                f"the model codes integers of shape (N, {self.event_shape}), got {tuple(x.shape)} {x.dtype}"
            )
        events = x.to(self.device, torch.int64)
        return events if events.dim() == 4 else events.reshape(len(x), -1, 1, 1)

    def _no_context(self, count: int) -> Tensor:
        return torch.zeros((count, 0, 1, 1), dtype=torch.int64, device=self.device)


def _draw(weights: NDArray[np.number[Any]], generator: np.random.Generator) -> Symbols:
    """One symbol for each row of weights."""
    cumulative = np.cumsum(np.asarray(weights, dtype=np.float64), axis=1)
    thresholds = generator.random(len(weights)) * cumulative[:, -1]
    return np.minimum((cumulative <= thresholds[:, None]).sum(axis=1), weights.shape[1] - 1).astype(np.int32)
