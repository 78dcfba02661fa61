"""Convolutions of the image networks: any batch dimensions, channels last in memory, no channel more than asked for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward.kernels.convolution import convolve
from pushforward.kernels.selection import Selection
from pushforward.networks.factory import NetworkFactory


class ChannelConv2d(nn.Conv2d):
    """A convolution that keeps its plane's size, and can leave out channels whose values nobody has or wants.

    The weights of all channels are kept, those of channels left out take no part in the arithmetic: what a
    multiplication by a mask of zeros and ones would give, without computing it.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, *, zero: bool = False) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)
        self.seen: Selection | None = None
        self.answered: Selection | None = None
        if zero:
            nn.init.zeros_(self.weight)
            assert self.bias is not None
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        weight = self.weight if self.seen is None else self.seen.pick(self.weight)
        return convolve(x, self.of_outputs(weight), self.of_outputs(self.bias))

    def of_outputs(self, values: Tensor) -> Tensor:
        """Take, of one value for each output channel, those of the channels that are computed."""
        return values if self.answered is None else self.answered.pick(values)


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
        built.first.seen = Selection(seen, channels + context, dim=1)  # type: ignore[union-attr]
        built.last.answered = Selection(answered, each * channels, dim=0)  # type: ignore[union-attr]
        return built

    return build


def over_batches(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a network of ``(N, C, H, W)`` to images with any batch dimensions."""
    flat = x.reshape(-1, *x.shape[-3:]).contiguous(memory_format=torch.channels_last)
    outputs = network(flat)
    return outputs.reshape(*x.shape[:-3], *outputs.shape[1:])
