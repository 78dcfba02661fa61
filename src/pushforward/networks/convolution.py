"""Convolutions of the image networks: any batch dimensions, channels last in memory, no channel more than asked for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.factory import NetworkFactory


class ChannelConv2d(nn.Conv2d):
    """A convolution that keeps its plane's size, and can leave out channels whose values nobody has or wants.

    The weights of all channels are kept, those of channels left out take no part in the arithmetic: what a
    multiplication by a mask of zeros and ones would give, without computing it.
    """

    input_index: Tensor | None
    output_index: Tensor | None

    def __init__(self, inputs: int, outputs: int, kernel_size: int, *, zero: bool = False) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)
        self.register_buffer("input_index", None, persistent=False)
        self.register_buffer("output_index", None, persistent=False)
        if zero:
            nn.init.zeros_(self.weight)
            assert self.bias is not None
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        if self.input_index is not None:
            weight = weight.index_select(1, self.input_index)
        if self.output_index is not None:
            assert bias is not None
            weight, bias = weight.index_select(0, self.output_index), bias.index_select(0, self.output_index)
        return F.conv2d(x, weight, bias, padding=self.padding)


def masked_channels(network: NetworkFactory, kept: Tensor) -> NetworkFactory:
    """Return a factory whose networks have weights for *all* channels, but see the kept ones and answer for the others.

    Programs that couple by multiplying with a mask own weights for channels that are always zero. This gives the same
    parameters and the same function, and computes nothing for those channels.

    Args:
        network: a factory of networks with a ``first`` and a ``last`` :class:`ChannelConv2d`.
        kept: boolean, one for each channel, ``True`` for those that condition.
    """
    kept_index, changed_index = torch.nonzero(kept)[:, 0], torch.nonzero(~kept)[:, 0]

    def build(inputs: int, outputs: int, context: int) -> nn.Module:
        channels, each = len(kept), outputs // len(changed_index)
        built = network(channels, each * channels, context)
        seen = torch.cat([kept_index, torch.arange(channels, channels + context)])
        answered = (torch.arange(each)[:, None] * channels + changed_index).flatten()
        built.first.input_index = seen  # type: ignore[union-attr]
        built.last.output_index = answered  # type: ignore[union-attr]
        return built

    return build


def over_batches(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a network of ``(N, C, H, W)`` to images with any number of batch dimensions."""
    flat = x.reshape(-1, *x.shape[-3:]).contiguous(memory_format=torch.channels_last)
    outputs = network(flat)
    return outputs.reshape(*x.shape[:-3], *outputs.shape[1:])


def concat_elu(x: Tensor) -> Tensor:
    """Return ``elu(x)`` and ``elu(-x)`` side by side in the channels: a strong gradient wherever the input lies."""
    return F.elu(torch.cat([x, -x], dim=1))
