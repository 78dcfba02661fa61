"""Convolutions of the image networks: any batch dimensions, channels last in memory, no channel more than asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.factory import NetworkFactory
from pushforward.selection import Selection


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
        return F.conv2d(x, self.of_outputs(weight), self.of_outputs(self.bias), padding=self.padding)

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


def concat_elu(x: Tensor) -> Tensor:
    """Return ``elu(x)`` and ``elu(-x)`` side by side in the channels: a strong gradient wherever the input lies."""
    return _ConcatELU.apply(x)  # type: ignore[no-any-return]


class _ConcatELU(torch.autograd.Function):
    """Both sides from one exponential, ``elu(+-x) = max(+-x, exp(-|x|) - 1)``, and the gradient from the result alone,
    which the convolution behind it keeps anyway."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        negative = -x
        # Not expm1, which takes three times as long: the error is absolute, 1e-7 of values of order 1 that are summed.
        below = torch.minimum(x, negative).exp_().sub_(1)
        if torch.compiler.is_compiling():
            # Joined in the order of channels-last memory, which the compiler would otherwise copy it into.
            halves = [torch.maximum(half, below).permute(0, 2, 3, 1) for half in (x, negative)]
            return torch.cat(halves, dim=-1).permute(0, 3, 1, 2)
        batch, channels, height, width = x.shape
        both = x.new_empty(batch, height, width, 2 * channels).permute(0, 3, 1, 2)
        torch.maximum(x, below, out=both[:, :channels])
        torch.maximum(negative, below, out=both[:, channels:])
        return both

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (output,) = ctx.saved_tensors
        both = torch.ops.aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, output)
        plus, minus = both.chunk(2, dim=1)
        return plus - minus


def add_gated(x: Tensor, branch: Tensor) -> Tensor:
    """Return ``x + value * sigmoid(gate)``, of the two halves of the branch's channels."""
    if not torch.compiler.is_compiling():
        # Eager kernels are fast where the halves lie in the last dimension, which they do in channels-last memory.
        return F.glu(branch.permute(0, 2, 3, 1), dim=-1).permute(0, 3, 1, 2).add_(x)
    value, gate = branch.chunk(2, dim=1)
    return x + value * torch.sigmoid(gate)


def layer_norm_channels(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Apply a layer norm to the channels of each pixel of ``(N, C, H, W)`` in channels-last memory, without a copy."""
    if not torch.compiler.is_compiling():
        return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    # The compiler joins two plain means with their neighbours; the one-pass variance of its own layer norm it cannot.
    centred = x - x.mean(1, keepdim=True)
    scaled = centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + norm.eps)
    return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]
