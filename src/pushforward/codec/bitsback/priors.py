"""Priors: what puts grid points on the stack and takes them off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.codec.bitsback.grid import as_real
from pushforward.codec.bitsback.layers import Layer
from pushforward.codec.bitsback.stack import BitStack

Parameters = Callable[[Tensor | None], tuple[Tensor, Tensor]]
"""The mean and the log-scale, given the context."""


class Prior(ABC):
    """A distribution of grid points ``(N, *event_shape)`` given a context of real numbers, or none."""

    @abstractmethod
    def push(self, bits: BitStack, z: Tensor, context: Tensor | None) -> None:
        """Encode a latent."""

    @abstractmethod
    def pop(self, bits: BitStack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        """Decode a latent of this shape."""


class LocationScalePrior(Prior):
    """A normal or logistic distribution whose mean and log-scale are known or depend on the context."""

    def __init__(self, parameters: Parameters, family: str) -> None:
        self.parameters, self.family = parameters, family

    def push(self, bits: BitStack, z: Tensor, context: Tensor | None) -> None:
        bits.push_near(z, *self._spread(tuple(z.shape), context), self.family)

    def pop(self, bits: BitStack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        return bits.pop_near(*self._spread(shape, context), self.family)

    def _spread(self, shape: tuple[int, ...], context: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.parameters(context)
        return mean.expand(shape), torch.exp(log_scale).expand(shape)


class SplitPrior(Prior):
    """Factor-out: the first ``kept`` channels have a prior of their own, the others one that is given the kept ones."""

    def __init__(self, kept: int, split: Prior, rest: Prior) -> None:
        self.kept, self.split, self.rest = kept, split, rest

    def push(self, bits: BitStack, z: Tensor, context: Tensor | None) -> None:
        kept, split = z[:, : self.kept], z[:, self.kept :]
        self.split.push(bits, split, self._condition(kept, context))
        self.rest.push(bits, kept, context)

    def pop(self, bits: BitStack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        kept = self.rest.pop(bits, (shape[0], self.kept, *shape[2:]), context)
        rest = (shape[0], shape[1] - self.kept, *shape[2:])
        return torch.cat([kept, self.split.pop(bits, rest, self._condition(kept, context))], 1)

    def _condition(self, kept: Tensor, context: Tensor | None) -> Tensor:
        return as_real(kept) if context is None else torch.cat([as_real(kept), context], 1)


class FlowPrior(Prior):
    """A flow: its layers, then the prior of what they make."""

    def __init__(self, layers: Sequence[Layer], latent_shape: torch.Size, base: Prior) -> None:
        self.layers, self.latent_shape, self.base = list(layers), latent_shape, base

    def push(self, bits: BitStack, z: Tensor, context: Tensor | None) -> None:
        for layer in self.layers:
            z = layer.push(bits, z)
        self.base.push(bits, z, self._handed_on(context))

    def pop(self, bits: BitStack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        z = self.base.pop(bits, (shape[0], *self.latent_shape), self._handed_on(context))
        for layer in reversed(self.layers):
            z = layer.pop(bits, z)
        return z

    def _handed_on(self, context: Tensor | None) -> Tensor | None:
        """The context, where its pixels are still those of the latent."""
        return context if context is not None and context.shape[2:] == self.latent_shape[1:] else None
