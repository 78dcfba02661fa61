"""Velocity fields of vectors: multilayer perceptrons that are told the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.divergence import trace_of_product
from pushforward.networks.context import join_vector
from pushforward.networks.velocity.activations import activation_named
from pushforward.networks.velocity.base import Velocity


class VelocityMLP(Velocity):
    r"""A multilayer perceptron of the vector, the time and the context, all of them inputs of its first layer.

    The time enters as ``t`` and, with ``frequencies`` above 0, as ``cos(pi k t), sin(pi k t)`` for ``k = 1, 2, ...``.
    The last layer starts at zero, so that the flow starts as the identity.

    Args:
        features: the number of dimensions ``D``.
        context: features of the context, 0 for none.
        hidden: widths of the hidden layers; one number stands for two. With one or two of them the divergence costs
            what one more layer does, in any number of dimensions.
        activation: ``"tanh"``, ``"softplus"`` or ``"silu"``.
        frequencies: how many frequencies the time is shown in.

    Shapes: ``time`` is ``(...)``, ``x`` is ``(..., D)``, and so is the result.

    Raises:
        ShapeError: if the context is missing or does not have ``context`` features.
        UsageError: if the activation is unknown, or there is no hidden layer.

    Source: Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud (2019), FFJORD, arXiv:1810.01367, whose networks are told
    the time as an input.

    Example:
        >>> VelocityMLP(3, context=2)(torch.rand(5), torch.ones(5, 3), torch.ones(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        features: int,
        context: int = 0,
        *,
        hidden: int | Sequence[int] = (64, 64),
        activation: str = "silu",
        frequencies: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.context = features, context
        self.activation = activation_named(activation)
        inputs = features + 1 + 2 * frequencies + context
        self.layers = layers_between([inputs, *_widths(hidden), features])
        rates = math.pi * torch.arange(1.0, frequencies + 1.0)
        self.register_buffer("rates", rates, persistent=False)
        self.rates: Tensor

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        *hidden, last = self.layers
        x = self._inputs(time, x, context)
        for layer in hidden:
            x = self.activation.value(layer(x))
        return last(x)  # type: ignore[no-any-return]

    def with_divergence(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        *hidden, last = self.layers
        x, slopes = self._inputs(time, x, context), []
        for layer in hidden:
            x, slope = self.activation.with_slope(layer(x))
            slopes.append(slope)
        first, *rest = weights_of(self.layers)
        return last(x), trace_of_product([first[:, : self.features], *rest], slopes)

    def _inputs(self, time: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        time = time.unsqueeze(-1)
        angles = time * self.rates
        shown = [x, time, torch.cos(angles), torch.sin(angles)] if len(self.rates) else [x, time]
        return join_vector(torch.cat(shown, -1), context, self.context, "VelocityMLP")


class ConcatSquashMLP(Velocity):
    r"""A multilayer perceptron whose hidden layers are scaled and shifted by the time and the context: the concatsquash
    layers of FFJORD (Grathwohl et al. 2019, arXiv:1810.01367).

    ``h = activation((W x + b) * sigmoid(G [t, c] + g) + B [t, c])``. The last layer is shifted alone, which keeps its
    divergence cheap, and starts at zero, so that the flow starts as the identity.

    Args:
        features: the number of dimensions ``D``.
        context: features of the context ``c``, 0 for none.
        hidden: widths of the hidden layers; one number stands for two. With one or two of them the divergence costs
            what one more layer does, in any number of dimensions.
        activation: ``"tanh"``, ``"softplus"`` or ``"silu"``.

    Shapes: ``time`` is ``(...)``, ``x`` is ``(..., D)``, and so is the result.

    Raises:
        ShapeError: if the context is missing or does not have ``context`` features.
        UsageError: if the activation is unknown, or there is no hidden layer.

    Example:
        >>> ConcatSquashMLP(3, context=2)(torch.rand(5), torch.ones(5, 3), torch.ones(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        features: int,
        context: int = 0,
        *,
        hidden: int | Sequence[int] = (64, 64),
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        self.context = context
        self.activation = activation_named(activation)
        widths = _widths(hidden)
        self.layers = layers_between([features, *widths, features])
        self.gates = nn.Linear(1 + context, sum(widths))
        self.shifts = nn.Linear(1 + context, sum(widths) + features, bias=False)
        self._widths = widths
        with torch.no_grad():
            self.shifts.weight[sum(widths) :].zero_()

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        gates, shifts = self._modulations(time, context)
        *hidden, last = self.layers
        for layer, gate, shift in zip(hidden, gates, shifts, strict=False):
            x = self.activation.value(torch.addcmul(shift, layer(x), gate))
        return last(x) + shifts[-1]  # type: ignore[no-any-return]

    def with_divergence(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        gates, shifts = self._modulations(time, context)
        *hidden, last = self.layers
        slopes = []
        for layer, gate, shift in zip(hidden, gates, shifts, strict=False):
            x, slope = self.activation.with_slope(torch.addcmul(shift, layer(x), gate))
            slopes.append(slope * gate)
        return last(x) + shifts[-1], trace_of_product(weights_of(self.layers), slopes)

    def _modulations(self, time: Tensor, context: Tensor | None) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        given = join_vector(time.unsqueeze(-1), context, self.context, "ConcatSquashMLP")
        gates = torch.sigmoid(self.gates(given)).split(self._widths, -1)
        shifts = self.shifts(given)
        return gates, shifts.split([*self._widths, shifts.shape[-1] - sum(self._widths)], -1)


def layers_between(widths: Sequence[int]) -> nn.ModuleList:
    """Linear layers between widths, the last one zero."""
    layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
    nn.init.zeros_(layers[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(layers[-1].bias)  # type: ignore[arg-type]
    return layers


def weights_of(layers: nn.ModuleList) -> list[Tensor]:
    """The weights of linear layers."""
    return [layer.weight for layer in layers]  # type: ignore[misc]


def _widths(hidden: int | Sequence[int]) -> list[int]:
    widths = [hidden, hidden] if isinstance(hidden, int) else list(hidden)
    if not widths:
        raise UsageError("a velocity expects at least one hidden layer, got hidden=()")
    return widths
