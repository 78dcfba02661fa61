"""Priors: what puts grid points on the stack and takes them off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.codec.bitsback.grid import as_real
from pushforward.codec.bitsback.layers import Layer
from pushforward.codec.bitsback.stack import BitStack
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow

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
    """Factor-out: the kept channels have a prior of their own, the others one that is given the kept ones."""

    def __init__(self, part: FactorOut, split: Prior, rest: Prior) -> None:
        self.part, self.split, self.rest = part, split, rest

    def push(self, bits: BitStack, z: Tensor, context: Tensor | None) -> None:
        kept, split = z[:, : self.part.kept], z[:, self.part.kept :]
        self.split.push(bits, split, self.part._condition(as_real(kept), context))
        self.rest.push(bits, kept, self.part._for_rest(context))

    def pop(self, bits: BitStack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        kept = self.rest.pop(bits, (shape[0], self.part.kept, *shape[2:]), self.part._for_rest(context))
        rest = (shape[0], shape[1] - self.part.kept, *shape[2:])
        return torch.cat([kept, self.split.pop(bits, rest, self.part._condition(as_real(kept), context))], 1)


class FlowPrior(Prior):
    """A flow: its layers, then the prior of what they make."""

    def __init__(self, flow: Flow, layers: Sequence[Layer], base: Prior) -> None:
        self.flow, self.layers, self.base = flow, list(layers), base
        self.latent_shape = flow.transform.forward_shape(flow.event_shape)

    def push(self, bits: BitStack, z: Tensor, context: Tensor | None) -> None:
        given = self._taken(context)
        for layer in self.layers:
            z = layer.push(bits, z, given)
        self.base.push(bits, z, self.flow._for(self.flow.base, given))

    def pop(self, bits: BitStack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        given = self._taken(context)
        z = self.base.pop(bits, (shape[0], *self.latent_shape), self.flow._for(self.flow.base, given))
        for layer in reversed(self.layers):
            z = layer.pop(bits, z, given)
        return z

    def _taken(self, context: Tensor | None) -> Tensor | None:
        """The context behind the flow's embedding."""
        return self.flow.take_context(self.flow._for(self.flow, context))
