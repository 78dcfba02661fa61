"""Guidance: what a causal network says with a context, less of what it says without."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.networks.causal import CausalNetwork, Choose


class Guided(CausalNetwork):
    r"""A causal network pushed towards its context, ``(1 + w) f(x, c) - w f(x, none)``.

    It is a causal network itself, so a structure that it conditions is an exact flow like any other.

    Args:
        network: the causal network ``f``, which takes a context.
        none: the features that stand for no context, one vector.
        weight: ``w``: 0 is the network itself, -1 what it says without a context, more than 0 exaggerates the context.

    Raises:
        UsageError: if the network takes no context, or ``none`` is none of its contexts, or the weight is no finite
            number.

    Source: Ho, Salimans (2022), arXiv:2207.12598; of flows, Zhai et al. (2024), arXiv:2412.06329.

    Example:
        >>> from pushforward.networks import CausalTransformer
        >>> network = Guided(CausalTransformer(4, 8, 3, hidden=8), torch.zeros(3), 1.5)
        >>> network(torch.ones(5, 4), torch.ones(5, 3)).shape
        torch.Size([5, 8])
    """

    none: Tensor

    def __init__(self, network: CausalNetwork, none: Tensor, weight: float) -> None:
        if not isinstance(network, CausalNetwork) or network.context is None:
            raise UsageError(f"Guided expects a causal network that takes a context, got {type(network).__name__}")
        if none.shape != network.context.features_shape:
            raise UsageError(
                f"Guided expects none= to be one context of shape {tuple(network.context.features_shape)}, got "
                f"{tuple(none.shape)}"
            )
        if not isinstance(weight, int | float) or not math.isfinite(weight):
            raise UsageError(f"Guided expects a weight that is a finite number, got {weight!r}")
        super().__init__(network.inputs, network.outputs, network.context, network.numbers)
        self.network, self.weight = network, weight
        self.register_buffer("none", none.detach().clone())

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.checked(x, context)
        return self._pushed(*self.network(x.expand(2, *x.shape), self._both(x.shape[:-1], context)))

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> None:
        def choose_for_both(variables: slice, outputs: Tensor) -> Tensor:
            chosen = choose(variables, self._pushed(*outputs.chunk(2, 1)))
            return torch.cat([chosen, chosen], 1)

        self.network.generate(choose_for_both, torch.Size([2, *batch]), self._both(batch, context))

    def _both(self, batch: torch.Size, context: Tensor | None) -> Tensor:
        assert context is not None
        given = context.expand(*batch, context.shape[-1])
        return torch.stack([given, self.none.to(given.dtype).expand_as(given)])

    def _pushed(self, given: Tensor, without: Tensor) -> Tensor:
        return given + self.weight * (given - without)
