"""An integer discrete flow whose every bit is defined: the same on every machine, batch size, thread count, device."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from pushforward.codec.entropy import AnsCoder, ideal_bits
from pushforward.codec.exact.bases import Decision, IntegerBase, Weights
from pushforward.codec.exact.fixedpoint import exact_arithmetic
from pushforward.codec.exact.masses import IntegerCategorical, Symbols
from pushforward.codec.exact.transforms import as_image
from pushforward.errors import CodecError

PIXELS = 4096
"""Pixels that a network sees at once: few, so that its activations stay in the processor's cache."""

DRAWN = 16
"""Events from which the model's entropy is estimated."""
BLOCK_MEMORY = 2**28
"""Bytes that coding one block may take."""


class PortableFlow:
    """An integer discrete flow in exact arithmetic: a :class:`pushforward.codec.model.CodecModel`.

    Args:
        flow: the exported parts.
        event_shape: the data's events, ``(C, H, W)`` or ``(D,)``.
        low, high: the range of the data's values.
        fingerprint: what identifies the model, of 16 bytes.
        batch_size: how many events the networks see at once; it changes the speed, never a bit.

    Raises:
        CodecError: by ``push`` and ``bits``, for events of another shape, type or range, or that would not be decoded
            to themselves; by ``pop`` and ``preview``, where what is decoded lies outside of the range.

    Example:
        >>> import pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))
        >>> images, coder = torch.arange(32).reshape(2, 1, 4, 4) % 4, AnsCoder()
        >>> model.push(coder, images)
        >>> torch.equal(model.pop(coder, 2), images)
        True
    """

    starting_bits = 64

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
        # The rows of weights are the largest part: eight bytes for each symbol, and some for what they are made of.
        self.working_bytes = 256 + 10 * _widest(flow)
        self.block_elements = min(flow.block_elements, BLOCK_MEMORY // self.working_bytes)

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
        """Encode events ``(N, *event_shape)`` of integers."""
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

    def expected_bits(self) -> float:
        """About how many bits an event takes that the model itself would draw: the mean of a few draws."""
        return self._expected

    @cached_property
    def _expected(self) -> float:
        drawn = self.preview(AnsCoder(), DRAWN, 0)
        return self.bits(drawn) / DRAWN

    def _decisions(self, x: Tensor) -> Iterator[tuple[Symbols, Weights]]:
        events = self._as_images(x)
        if len(events) and (int(events.min()) < self.low or int(events.max()) > self.high):
            raise CodecError(f"the model codes integers from {self.low} to {self.high}")
        with exact_arithmetic():
            nothing = self._no_context(len(events))
            symbols = list(self.flow.symbols(events, nothing, self.pixels))
            walk, chosen = self.flow.walk(nothing, self.pixels), iter(symbols)
            decision = next(walk)
            try:
                for symbol in chosen:
                    yield symbol, decision.weights
                    decision = walk.send(symbol)
            except StopIteration as stop:
                if next(chosen, None) is None and torch.equal(stop.value, events):
                    return
        # This is what a reader does: what does not lead back here would be lost.
        raise CodecError("the model decodes these events to others: one of its parts has no exact inverse")

    def _run(self, count: int, choose: Callable[[Decision], Symbols]) -> Tensor:
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
        return x.to(self.device, torch.int64).reshape(len(x), *as_image(self.event_shape))

    def _no_context(self, count: int) -> Tensor:
        return torch.zeros((count, 0, 1, 1), dtype=torch.int64, device=self.device)


def _widest(part: object) -> int:
    """The most symbols that one decision of a part chooses from, where they are no bisections."""
    if isinstance(part, IntegerCategorical):
        return part.classes
    if isinstance(part, list | tuple):
        return max(map(_widest, part), default=0)
    if not dataclasses.is_dataclass(part):
        return 0
    return max((_widest(getattr(part, field.name)) for field in dataclasses.fields(part)), default=0)


def _draw(weights: Weights, generator: np.random.Generator) -> Symbols:
    """One symbol for each row of weights."""
    cumulative = np.cumsum(np.asarray(weights, dtype=np.float64), axis=1)
    thresholds = generator.random(len(weights)) * cumulative[:, -1]
    return np.minimum((cumulative <= thresholds[:, None]).sum(axis=1), weights.shape[1] - 1).astype(np.int32)
