"""Glow's convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.networks.context import join_image
from pushforward.networks.images.convolution import ChannelConv2d, channels, over_batches
from pushforward.parts import ModulePart


class GlowConvNet(ModulePart):
    r"""Three convolutions, 3x3, 1x1 and 3x3, with ReLU between; the last starts at zero and has a learned scale.

    The outputs are multiplied by ``exp(3 s)`` with ``s`` learned per channel and bounded to +-2, as in the paper's
    program; its activation normalisation between the convolutions is left out.

    Args:
        inputs: channels of the images ``(..., inputs, H, W)``.
        outputs: channels of the result ``(..., outputs, H, W)``.
        context: features of a context vector, repeated over the pixels, or the shape of a context image; 0 for none.
        hidden: width.

    Raises:
        ShapeError: if the context is missing or does not fit.

    Source: Kingma, Dhariwal (2018), arXiv:1807.03039.

    Example:
        >>> GlowConvNet(3, 6, hidden=8)(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(self, inputs: int, outputs: int, context: int | Sequence[int] = 0, *, hidden: int = 512) -> None:
        super().__init__()
        self.context = context
        self.first = ChannelConv2d(inputs + channels(context), hidden, 3)
        self.middle = ChannelConv2d(hidden, hidden, 1)
        self.last = ChannelConv2d(hidden, outputs, 3, zero=True)
        self.log_scale = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        images = join_image(x, context, self.context, "GlowConvNet")
        return over_batches(self._network, images)

    def _network(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.middle(torch.relu(self.first(x))))
        return self.last(hidden) * torch.exp(3.0 * self.last.of_outputs(self.log_scale).clamp(-2.0, 2.0))
