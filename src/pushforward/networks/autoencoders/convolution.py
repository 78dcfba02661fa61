"""Convolutional encoders and decoders whose layers are gated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.autoencoders.dense import flat_size, with_context
from pushforward.networks.context import image_context, join_image
from pushforward.networks.images.convolution import channels
from pushforward.parts import ModulePart

KERNEL = 5

GAIN = 1.73
"""Of the weights at the start: ``E (g sigmoid(g'))^2 = 1`` for independent ``g, g' ~ N(0, GAIN^2)``."""


class Gated(nn.Module):
    """A layer of twice the channels, half of which gate the others, ``value * sigmoid(gate)``.

    It starts so that it passes on the variance of its inputs, since gates halve what goes through them: five layers as
    torch starts them would leave a five-hundredth of what tells one event from another, and nothing that can be learned
    from.

    Args:
        layer: a convolution, plain or transposed.
        fan_in: how many numbers each of its outputs is a sum of.
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d, fan_in: int) -> None:
        super().__init__()
        self.layer = layer
        nn.init.normal_(layer.weight, std=GAIN / math.sqrt(fan_in))
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.glu(self.layer(x), dim=1)


class GatedConvEncoder(ModulePart):
    r"""Images to vectors: four gated convolutions of 5 x 5 pixels, every second one of which halves the plane, and one
    as large as what is left of it.

    Args:
        shape: channels, height and width.
        outputs: features of the result.
        context: the shape of the context, a vector or an image, which is joined as channels; ``()`` for none.
        hidden: channels, twice as many behind the first halving.
        center, unit: the fixed shift and scale of the input.

    Shapes: ``x`` is ``(N, C, H, W)``, the result ``(N, outputs)``.

    Raises:
        UsageError: if the shape is not that of an image, or the context's neither that of a vector nor of an image.

    Source: van den Berg, Hasenclever, Tomczak, Welling (2018), arXiv:1803.05649, appendix A.

    Example:
        >>> GatedConvEncoder((1, 9, 8), 5, hidden=4)(torch.zeros(3, 1, 9, 8)).shape
        torch.Size([3, 5])
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        context: Sequence[int] = (),
        *,
        hidden: int = 32,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        check_image(shape, "GatedConvEncoder")
        image_context(context or 0, "GatedConvEncoder")
        self.context = context_of_images(context)
        self.center, self.unit = center, unit
        widths = [shape[0] + channels(self.context), hidden, hidden, 2 * hidden, 2 * hidden]
        self.layers = nn.Sequential(
            *[
                gated_convolution(widths[i], widths[i + 1], KERNEL, stride=1 + i % 2, padding=KERNEL // 2)
                for i in range(4)
            ],
            gated_convolution(widths[-1], outputs, quarter(shape[1:])),
            nn.Flatten(),
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(join_image((x - self.center) / self.unit, context, self.context, "GatedConvEncoder"))


class GatedConvDecoder(ModulePart):
    r"""Vectors to images: :class:`GatedConvEncoder` turned round, with transposed convolutions. The last layer, of one
    pixel, starts at zero.

    Args:
        inputs: features of ``z``.
        shape: channels, height and width of the result.
        context: the shape of the context, which is flattened and joined to ``z``; ``()`` for none.
        hidden: channels, twice as many before the last doubling of the plane.

    Shapes: ``z`` is ``(N, inputs)``, the result ``(N, C, H, W)``.

    Raises:
        UsageError: if the shape is not that of an image.

    Source: van den Berg, Hasenclever, Tomczak, Welling (2018), arXiv:1803.05649, appendix A.

    Example:
        >>> GatedConvDecoder(2, (1, 9, 8), hidden=4)(torch.zeros(3, 2)).shape
        torch.Size([3, 1, 9, 8])
    """

    def __init__(self, inputs: int, shape: Sequence[int], context: Sequence[int] = (), *, hidden: int = 32) -> None:
        super().__init__()
        check_image(shape, "GatedConvDecoder")
        plane = torch.Size(shape[1:])
        half, seen = halved(plane), inputs + flat_size(context)
        last = nn.Conv2d(hidden, shape[0], 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            # Of one pixel: each output is a sum over the channels alone.
            Gated(nn.ConvTranspose2d(seen, 4 * hidden, quarter(plane)), fan_in=seen),
            gated_convolution(2 * hidden, 2 * hidden, KERNEL, padding=KERNEL // 2),
            doubling(2 * hidden, hidden, half),
            gated_convolution(hidden, hidden, KERNEL, padding=KERNEL // 2),
            doubling(hidden, hidden, plane),
            last,
        )

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(with_context(z, context)[..., None, None])


def gated_convolution(
    before: int, after: int, kernel: int | tuple[int, int], *, stride: int = 1, padding: int = 0
) -> Gated:
    """A gated convolution of ``before`` to ``after`` channels."""
    layer = nn.Conv2d(before, 2 * after, kernel, stride=stride, padding=padding)
    return Gated(layer, fan_in=layer.weight[0].numel())


def doubling(before: int, after: int, plane: Sequence[int]) -> Gated:
    """A gated transposed convolution that doubles its plane to ``plane``, whose sides may be odd."""
    even = [1 - side % 2 for side in plane]
    layer = nn.ConvTranspose2d(
        before, 2 * after, KERNEL, stride=2, padding=KERNEL // 2, output_padding=(even[0], even[1])
    )
    # Every second row and column of the kernel meets a pixel.
    return Gated(layer, fan_in=max(1, before * KERNEL**2 // 4))


def halved(plane: Sequence[int]) -> tuple[int, int]:
    """The plane behind a convolution of stride 2.

    Example:
        >>> halved((28, 9))
        (14, 5)
    """
    height, width = plane
    return (height + 1) // 2, (width + 1) // 2


def quarter(plane: Sequence[int]) -> tuple[int, int]:
    """The plane behind two convolutions of stride 2."""
    return halved(halved(plane))


def context_of_images(context: Sequence[int]) -> int | tuple[int, ...]:
    """A context's shape as networks of images take it: 0 for none, features of a vector, or an image's shape."""
    if len(context) in (0, 1):
        return context[0] if context else 0
    return tuple(context)


def check_image(shape: Sequence[int], owner: str) -> None:
    """Raise :class:`UsageError` unless a shape is that of an image."""
    if len(shape) != 3:
        raise UsageError(f"{owner} expects the shape of an image (channels, height, width), got {tuple(shape)}")
