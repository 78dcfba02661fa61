"""Distributions of integer events in exact arithmetic, each a walk through decisions for the entropy coder.

Each part mirrors one part of the float flow. Events are integer tensors (N, C, H, W); vectors have H = W = 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec.exact.fixedpoint import IntegerDenseNet
from pushforward.codec.exact.masses import IntegerMass, Symbols
from pushforward.codec.exact.transforms import IntegerTransform
from pushforward.errors import CodecError

Weights = NDArray[np.number[Any]]


class Decision(NamedTuple):
    """Rows of weights for the entropy coder, and which latent they belong to, counted from the deepest."""

    weights: Weights
    latent: int


Walk = Generator[Decision, Symbols, Tensor]
"""Yields decisions in coding order, is sent the symbols, and returns the events that they make."""


class IntegerBase(ABC):
    """A distribution of integer events as a walk through decisions; ``latents`` is how many tensors it is made of."""

    latents: int = 1
    block_elements: int = 2**18
    """About how many elements should share a block."""

    @abstractmethod
    def walk(self, context: Tensor, pixels: int) -> Walk:
        """Go through the decisions that make one event for each context (N, C, H, W), C may be 0."""

    @abstractmethod
    def symbols(self, x: Tensor, context: Tensor, pixels: int) -> Iterator[Symbols]:
        """The symbols that lead :meth:`walk` to ``x``, in its order."""


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
        for network, bias in zip(self.networks, self.biases):
            parameters = self._parameters(network, bias, x, context, pixels)
            values = yield from labelled(self.mass.walk(parameters), 0)
            x = torch.cat([x, values.reshape(len(x), height, width, -1).permute(0, 3, 1, 2)], 1)
        return x

    def symbols(self, x: Tensor, context: Tensor, pixels: int) -> Iterator[Symbols]:
        for start, stop in self._bounds:
            yield from self.mass.symbols(x[:, start:stop].permute(0, 2, 3, 1).reshape(-1))

    def _parameters(
        self, network: IntegerDenseNet | None, bias: Tensor, before: Tensor, context: Tensor, pixels: int
    ) -> Tensor:
        bias = bias.to(before.device).double()
        spread = bias.expand(len(before), *bias.shape)
        if network is not None:
            spread = network.given(before, context, pixels).reshape(spread.shape) + bias
        return spread.reshape(-1, bias.shape[-1])


@dataclass
class IntegerFlow(IntegerBase):
    """A chain of transforms and the base of what they make, all given the same context."""

    transforms: list[IntegerTransform]
    base: IntegerBase

    def __post_init__(self) -> None:
        self.latents, self.block_elements = self.base.latents, self.base.block_elements

    def walk(self, context: Tensor, pixels: int) -> Walk:
        z = yield from self.base.walk(context, pixels)
        for transform in reversed(self.transforms):
            z = transform.inverse(z, context, pixels)
        return z

    def symbols(self, x: Tensor, context: Tensor, pixels: int) -> Iterator[Symbols]:
        for transform in self.transforms:
            x = transform.forward(x, context, pixels)
        yield from self.base.symbols(x, context, pixels)


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
        walk = self.split.walk(joined(kept, context), pixels)
        try:
            decision = next(walk)
            while True:
                symbols = yield Decision(decision.weights, decision.latent + self.rest.latents)
                decision = walk.send(symbols)
        except StopIteration as stop:
            return torch.cat([kept, stop.value], 1)

    def symbols(self, x: Tensor, context: Tensor, pixels: int) -> Iterator[Symbols]:
        kept, split = x[:, : self.kept], x[:, self.kept :]
        yield from self.rest.symbols(kept, context, pixels)
        yield from self.split.symbols(split, joined(kept, context), pixels)


def joined(x: Tensor, context: Tensor) -> Tensor:
    """``x`` and the context's channels, where there are any on pixels of the same kind."""
    return torch.cat([x, context], 1) if context.shape[1] and context.shape[2:] == x.shape[2:] else x


def labelled(walk: Generator[Weights, Symbols, Tensor], latent: int) -> Walk:
    """The decisions of one mass function, told which latent they belong to."""
    try:
        weights = next(walk)
        while True:
            weights = walk.send((yield Decision(weights, latent)))
    except StopIteration as stop:
        return stop.value
