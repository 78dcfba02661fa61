"""Flow++'s convolutional network with self-attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.kernels.convolution import channels_last
from pushforward.networks.context import join_image
from pushforward.networks.images.convolution import ChannelConv2d, channels, over_batches
from pushforward.networks.images.gated import GatedBlock
from pushforward.parts import ModulePart


class GatedAttention(nn.Module):
    """Self-attention over all pixels as a gated residual, and a layer norm over the channels."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(hidden, 3 * hidden)
        self.gate = nn.Linear(hidden, 2 * hidden)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2).transpose(1, 2)
        placed = pixels + positions(x)
        query, key, value = self.project(placed).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        rows = self.norm(pixels + F.glu(self.gate(mixed), dim=-1))
        return channels_last(rows.transpose(1, 2).unflatten(-1, x.shape[-2:]))


class AttentionConvNet(ModulePart):
    r"""Blocks of a gated convolution and gated self-attention; the last layer starts at zero.

    Args:
        inputs: channels of the images ``(..., inputs, H, W)``.
        outputs: channels of the result ``(..., outputs, H, W)``.
        context: features of a context vector, repeated over the pixels, or the shape of a context image; 0 for none.
        hidden: width, a multiple of ``heads``.
        blocks: pairs of a gated convolution and gated self-attention.
        heads: attention heads.

    Raises:
        UsageError: if the width is no multiple of the heads.
        ShapeError: if the context is missing or does not fit.

    Source: Ho, Chen, Srinivas, Duan, Abbeel (2019), Flow++, arXiv:1902.00275.

    Example:
        >>> AttentionConvNet(3, 6, hidden=8)(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int | Sequence[int] = 0,
        *,
        hidden: int = 96,
        blocks: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        if heads < 1 or hidden < 1 or hidden % heads:
            raise UsageError(f"AttentionConvNet expects hidden to be a multiple of heads={heads}, got {hidden}")
        self.context = context
        self.first = ChannelConv2d(inputs + channels(context), hidden, 3)
        parts = [part for _ in range(blocks) for part in (GatedBlock(hidden), GatedAttention(hidden, heads))]
        self.blocks = nn.Sequential(*parts)
        self.last = ChannelConv2d(hidden, outputs, 3, zero=True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        images = join_image(x, context, self.context, "AttentionConvNet")
        return over_batches(self._network, images)

    def _network(self, x: Tensor) -> Tensor:
        return self.last(F.elu(self.blocks(self.first(x))))


def positions(x: Tensor) -> Tensor:
    """Return sinusoids of the row and the column of each pixel, ``(H W, channels)``, for images of any size."""
    channels, height, width = x.shape[-3:]
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    place = torch.stack([rows[:, None].expand(height, width), columns.expand(height, width)], -1).flatten(0, 1)
    count = math.ceil(channels / 4)
    frequency = torch.exp(-math.log(100.0) * torch.arange(count, device=x.device) / count).to(x.dtype)
    angle = (place[..., None].to(x.dtype) * frequency).flatten(1)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)[:, :channels]
