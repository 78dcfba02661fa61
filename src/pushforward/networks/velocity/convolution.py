"""Velocity fields of images: convolutions that are told the time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import join_image
from pushforward.networks.images.convolution import ChannelConv2d, channels, over_batches
from pushforward.networks.velocity.activations import activation_named
from pushforward.networks.velocity.base import Velocity


class ConcatSquashConvNet(Velocity):
    r"""A convolutional network whose hidden layers are scaled and shifted, channel by channel, by the time: the
    concatsquash layers of FFJORD (Grathwohl et al. 2019, arXiv:1810.01367).

    ``h = activation(conv(x) * sigmoid(G t + g) + B t)``, with zero padding, so that the plane keeps its size. The last
    layer starts at zero, so that the flow starts as the identity.

    Args:
        inputs: the image's channels.
        context: features of a context vector, repeated over the pixels, or the shape of a context image; 0 for none.
        hidden: channels of the hidden layers; one number stands for two layers.
        activation: ``"tanh"``, ``"softplus"`` or ``"silu"``.

    Shapes: ``time`` is ``(...)``, ``x`` is ``(..., inputs, H, W)``, and so is the result.

    Raises:
        ShapeError: if the image or the context does not have the channels stated.
        UsageError: if the activation is unknown, or there is no hidden layer.

    Example:
        >>> ConcatSquashConvNet(3, hidden=8)(torch.rand(5), torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 3, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        context: int | Sequence[int] = 0,
        *,
        hidden: int | Sequence[int] = (32, 32),
        activation: str = "softplus",
    ) -> None:
        super().__init__()
        widths = [hidden, hidden] if isinstance(hidden, int) else list(hidden)
        if not widths:
            raise UsageError("ConcatSquashConvNet expects at least one hidden layer, got hidden=()")
        self.inputs, self.context, self._widths = inputs, context, widths
        self.activation = activation_named(activation)
        sizes = [inputs + channels(context), *widths]
        self.layers = nn.ModuleList(ChannelConv2d(before, after, 3) for before, after in pairwise(sizes))
        self.last = ChannelConv2d(widths[-1], inputs, 3, zero=True)
        self.gates = nn.Linear(1, sum(widths))
        self.shifts = nn.Linear(1, sum(widths), bias=False)

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        if x.dim() < 3 or x.shape[-3] != self.inputs:
            raise ShapeError(
                f"ConcatSquashConvNet expects images (..., {self.inputs}, H, W), got shape {tuple(x.shape)}"
            )
        joined, rows = join_image(x, context, self.context, "ConcatSquashConvNet"), time.reshape(-1, 1)
        gates = torch.sigmoid(self.gates(rows))[..., None, None].split(self._widths, 1)
        shifts = self.shifts(rows)[..., None, None].split(self._widths, 1)

        def network(images: Tensor) -> Tensor:
            for layer, gate, shift in zip(self.layers, gates, shifts, strict=True):
                images = self.activation.value(torch.addcmul(shift, layer(images), gate))
            return self.last(images)  # type: ignore[no-any-return]

        return over_batches(network, joined)
