"""How layers of a bounded norm follow each other: one after the other, or each seeing all before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.lipschitz.spectral import Normalised
from pushforward.parts import ModulePart

Activation = Callable[[int, int], nn.Module]
"""Makes an activation with a Lipschitz constant of 1 of ``(features, event_dims)``, whose ``expansion`` says how many
times as many features it gives."""
LayerOf = Callable[[int, int, float], Normalised]
"""Makes a layer of ``(inputs, outputs, lipschitz)``."""


class Layered(ModulePart):
    r"""``W_n phi(W_{n-1} ... phi(W_1 x + shift))``, whose Lipschitz constant is at most the product of the layers': 1
    for all but the last."""

    def __init__(
        self, layer: Sequence[LayerOf], widths: Sequence[int], activation: Activation, dims: int, lipschitz: float
    ) -> None:
        super().__init__()
        self.width = widths[1]
        self.activations = nn.ModuleList(activation(width, dims) for width in widths[1:-1])
        seen = [widths[0], *map(_expanded, widths[1:-1], self.activations)]
        bounds = [*[1.0] * (len(widths) - 2), lipschitz]
        self.layers = nn.ModuleList(
            make(before, after, bound)
            for make, before, after, bound in zip(layer, seen, widths[1:], bounds, strict=True)
        )

    def forward(self, x: Tensor, shift: Tensor | float) -> Tensor:
        hidden = self.layers[0](x) + shift
        for activation, layer in zip(self.activations, self.layers[1:], strict=True):
            hidden = layer(activation(hidden))
        return hidden

    def along(self, x: Tensor, tangents: Tensor, shift: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents ``(axes, ..., inputs)``."""
        hidden, tangents = self.layers[0].along(x, tangents)  # type: ignore[operator]
        hidden = hidden + shift
        for activation, layer in zip(self.activations, self.layers[1:], strict=True):
            hidden, tangents = layer.along(*activation.along(hidden, tangents))  # type: ignore[operator]
        return hidden, tangents


class DenseLayer(ModulePart):
    r"""A layer that keeps its input, ``h(x) = [a x, b phi(W x)]`` with ``a^2 + b^2 = 1``, both learned.

    With the constants ``K_1 = 1`` of a copy and ``K_2 <= 1`` of what is beside it, ``|h(x) - h(y)|^2 <= (a^2 K_1^2 +
    b^2 K_2^2) |x - y|^2``; equal parts are ``[x, phi(W x)] / sqrt(K_1^2 + K_2^2)``.

    Source: Perugachi-Diaz, Tomczak, Bhulai (2021), arXiv:2102.02694, equations 6 to 9 and section 3.3 (learnable
        weighted concatenation).
    """

    def __init__(self, layer: Normalised, activation: nn.Module, dims: int) -> None:
        super().__init__()
        self.layer, self.activation, self.dims = layer, activation, dims
        self.importance = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor, shift: Tensor | float = 0.0) -> Tensor:
        kept, added = self._shares()
        return torch.cat([kept * x, added * self.activation(self.layer(x) + shift)], -self.dims)

    def along(self, x: Tensor, tangents: Tensor, shift: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents ``(axes, ..., inputs)``."""
        kept, added = self._shares()
        hidden, slopes = self.layer.along(x, tangents)  # type: ignore[operator]
        hidden, slopes = self.activation.along(hidden + shift, slopes)  # type: ignore[operator]
        # Tangents that are the same at every row become those of each.
        tangents = tangents.expand(*slopes.shape[: -self.dims], *tangents.shape[-self.dims :])
        return (
            torch.cat([kept * x, added * hidden], -self.dims),
            torch.cat([kept * tangents, added * slopes], -self.dims),
        )

    def _shares(self) -> Tensor:
        # Softplus stays above zero for shares far from each other, in single precision too.
        return F.normalize(F.softplus(self.importance.clamp(min=-15.0)), dim=0)


class DenselyConnected(ModulePart):
    """Dense layers, each of which sees the input and what all before it have added, and a last one that sees all."""

    def __init__(
        self, layer: Sequence[LayerOf], widths: Sequence[int], activation: Activation, dims: int, lipschitz: float
    ) -> None:
        super().__init__()
        inputs, *hidden, outputs = widths
        self.width = hidden[0]
        activations = [activation(width, dims) for width in hidden]
        seen = list(accumulate(map(_expanded, hidden, activations), initial=inputs))
        self.layers = nn.ModuleList(
            DenseLayer(make(before, width, 1.0), after, dims)
            for make, before, width, after in zip(layer[:-1], seen[:-1], hidden, activations, strict=True)
        )
        self.last = layer[-1](seen[-1], outputs, lipschitz)

    def forward(self, x: Tensor, shift: Tensor | float) -> Tensor:
        x = self.layers[0](x, shift)
        for layer in self.layers[1:]:
            x = layer(x)
        return self.last(x)

    def along(self, x: Tensor, tangents: Tensor, shift: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents ``(axes, ..., inputs)``."""
        x, tangents = self.layers[0].along(x, tangents, shift)  # type: ignore[operator]
        for layer in self.layers[1:]:
            x, tangents = layer.along(x, tangents)  # type: ignore[operator]
        return self.last.along(x, tangents)  # type: ignore[operator, no-any-return]


def _expanded(width: int, activation: nn.Module) -> int:
    return width * int(activation.expansion)  # type: ignore[arg-type]


def start_at_zero(body: nn.Module) -> None:
    """Let a network start as zero, by its last layer, and a flow of it as the identity."""
    *_, last = (layer for layer in body.modules() if isinstance(layer, Normalised))
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
