"""The gated convolutional network of the UvA deep learning tutorials."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pushforward.kernels.gates import add_gated, concat_elu, layer_norm_channels
from pushforward.networks.context import join_image
from pushforward.networks.images.convolution import ChannelConv2d, channels, over_batches
from pushforward.parts import ModulePart


class GatedBlock(nn.Module):
    """A residual block whose branch is gated, ``x + value * sigmoid(gate)``, and a layer norm over the channels."""

    def __init__(self, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.wide = ChannelConv2d(2 * hidden, hidden, 3)
        self.gate = ChannelConv2d(2 * hidden, 2 * hidden, 1)
        self.norm = nn.LayerNorm(hidden, eps=1e-6)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.gate(self.dropout(concat_elu(self.wide(concat_elu(x)))))
        return layer_norm_channels(add_gated(x, branch), self.norm)


class GatedConvNet(ModulePart):
    r"""A convolutional residual network with gated blocks; the last layer starts at zero.

    Args:
        inputs: channels of the images ``(..., inputs, H, W)``.
        outputs: channels of the result ``(..., outputs, H, W)``.
        context: features of a context vector, repeated over the pixels, or the shape of a context image; 0 for none.
        hidden: width.
        blocks: gated blocks.
        dropout: the share of a block's hidden units that training leaves out.

    Raises:
        ShapeError: if the context is missing or does not fit.

    Source: Lippe (2022), UvA Deep Learning Tutorials, tutorial 11, after Ho et al. (2019), arXiv:1902.00275.

    Example:
        >>> import torch
        >>> GatedConvNet(3, 6, context=2, hidden=8)(torch.ones(5, 3, 4, 4), torch.ones(5, 2)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int | Sequence[int] = 0,
        *,
        hidden: int = 32,
        blocks: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.context = context
        self.first = ChannelConv2d(inputs + channels(context), hidden, 3)
        self.blocks = nn.Sequential(*[GatedBlock(hidden, dropout) for _ in range(blocks)])
        self.last = ChannelConv2d(2 * hidden, outputs, 3, zero=True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        images = join_image(x, context, self.context, "GatedConvNet")
        return over_batches(self._network, images)

    def _network(self, x: Tensor) -> Tensor:
        return self.last(concat_elu(self.blocks(self.first(x))))
