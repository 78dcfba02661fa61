"""Causal networks of images as causal networks of vectors: the pixels in raster order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.networks.causal import CausalNetwork, Choose, check_sizes
from pushforward.networks.context import Context, image_context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.masked.images.base import PixelNetwork
from pushforward.networks.masked.images.gated import GatedPixelCNN
from pushforward.spaces import Space


class RasterNetwork(CausalNetwork):
    r"""A causal network of images as one of vectors, whose variables are the pixels in raster order: row by row, within
    a row pixel by pixel, within a pixel channel by channel.

    With it any network of images stands in :class:`Autoregressive`, behind :class:`Patches` of size 1, which puts
    images in that order. Its inverse takes the columns that :meth:`PixelNetwork.generate` keeps.

    Args:
        inputs: the number of variables ``D``, all channels of all pixels.
        outputs: the number of outputs, a multiple ``P`` of the variables, in the order of :class:`CausalNetwork`.
        context: features of the context, 0 for none; every output sees all of it.
        plane: height and width of the images.
        network: a factory of networks of images, called as ``network(C, C P, context)``; or a ready-made one.
        context_image: the shape of an image whose numbers the context's features are, seen as by a
            :class:`PixelNetwork`; None where they are a vector.
        numbers: how many numbers a variable is, ``F``.

    Raises:
        UsageError: if the pixels do not make a plane, the features no image, or the network is none of images.
        ShapeError: if the input is not ``(..., D F)``, or the context is missing or does not fit.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759, section 2, for the order.

    Example:
        >>> network = RasterNetwork(12, 24, plane=(2, 2), network=GatedPixelCNN(3, 6, hidden=6, layers=2))
        >>> network(torch.ones(5, 12)).shape
        torch.Size([5, 24])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        plane: Sequence[int],
        network: NetworkFactory | PixelNetwork = GatedPixelCNN,
        context_image: Sequence[int] | None = None,
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers)
        self.plane = torch.Size(plane)
        pixels = self.plane.numel()
        if len(self.plane) != 2 or pixels < 1 or inputs % pixels:
            raise UsageError(
                f"RasterNetwork expects plane=(height, width) of which the {inputs} inputs are a multiple, got "
                f"{tuple(plane)}"
            )
        self.context_image = context_image if context_image is None else torch.Size(context_image)
        if self.context_image is not None and self.context_image.numel() != _features(self.context):
            raise UsageError(
                f"RasterNetwork expects as many features of the context as context_image={tuple(self.context_image)} "
                f"has, got {_features(self.context)}"
            )
        variables = inputs // pixels
        sizes = variables * numbers, variables * self.per_input
        seen = self.context if self.context_image is None else image_context(self.context_image, "RasterNetwork")
        made = make_network(network, *sizes, seen, "RasterNetwork", numbers=numbers)
        if not isinstance(made, PixelNetwork):
            raise UsageError(f"RasterNetwork expects a causal network of images, got {type(made).__name__}")
        check_sizes(made, *sizes, "RasterNetwork", numbers=numbers)
        self.network = made

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.checked(x, context)
        images = x.unflatten(-1, (*self.plane, -1)).movedim(-1, -3)
        outputs = self.network(images, self._seen(context)).unflatten(-3, (-1, self.per_input))
        # (..., V, P, H, W) to (..., P, H, W, V)
        return outputs.movedim(-4, -1).flatten(-4)

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> None:
        self.network.generate(choose, batch, self._seen(context), plane=self.plane)

    def _seen(self, context: Tensor | None) -> Tensor | None:
        """The context as the network of images takes it."""
        return context if context is None or self.context_image is None else context.unflatten(-1, self.context_image)


def _features(context: Space | None) -> int:
    return 0 if context is None else context.features_shape.numel()
