"""Convolutions of the image networks: any batch dimensions, channels last in memory, no channel more than asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pushforward.kernels.convolution import channels_last, convolve
from pushforward.kernels.selection import Selection
from pushforward.networks.factory import NetworkFactory
from pushforward.parts import Part


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


def channels(context: int | Sequence[int]) -> int:
    """How many channels a declared context adds to an image.

    Example:
        >>> channels(0), channels(5), channels((3, 8, 8))
        (0, 5, 3)
    """
    return context if isinstance(context, int) else context[0]


class MaskedChannels(Part):
    """A factory whose networks have weights for *all* channels, but see the kept ones and answer for the others.

    Programs that couple by multiplying with a mask own weights for channels that are always zero. This gives the same
    parameters and the same function, and computes nothing for those channels.

    Args:
        network: a factory of networks with a ``first`` and a ``last`` :class:`ChannelConv2d`.
        kept: boolean, one for each channel, ``True`` for those that condition.

    Shapes: of ``K`` channels that are kept the networks take images ``(N, K, H, W)``, and answer for the rest.

    Raises:
        AttributeError: if the networks have no ``first`` and ``last`` layer.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), RealNVP, arXiv:1605.08803, whose couplings multiply with such masks.

    Example:
        >>> from pushforward.networks import GatedConvNet
        >>> network = MaskedChannels(GatedConvNet, torch.tensor([True, False, False]))(1, 4, 0)
        >>> network.first.weight.shape[1], network(torch.ones(5, 1, 4, 4)).shape[1]
        (3, 4)
    """

    def __init__(self, network: NetworkFactory, kept: Tensor) -> None:
        self.network = network
        self.kept = kept

    def __call__(self, inputs: int, outputs: int, context: int | tuple[int, ...], /) -> nn.Module:
        kept, changed = torch.nonzero(self.kept)[:, 0], torch.nonzero(~self.kept)[:, 0]
        count, each, extra = len(self.kept), outputs // len(changed), channels(context)
        built = self.network(count, each * count, context)
        seen = torch.cat([kept, torch.arange(count, count + extra)])
        answered = (torch.arange(each)[:, None] * count + changed).flatten()
        built.first.seen = Selection(seen, count + extra, dim=1)  # type: ignore[union-attr]
        built.last.answered = Selection(answered, each * count, dim=0)  # type: ignore[union-attr]
        return built


def over_batches(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a network of ``(N, C, H, W)`` to images with any batch dimensions."""
    flat = channels_last(x.reshape(-1, *x.shape[-3:]))
    outputs = network(flat)
    return outputs.reshape(*x.shape[:-3], *outputs.shape[1:])
