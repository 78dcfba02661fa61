"""Networks of a bounded Lipschitz constant for images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import join_image
from pushforward.networks.images.convolution import ChannelConv2d, channels, over_batches
from pushforward.networks.lipschitz.activations import CLipSwish, LipSwish
from pushforward.networks.lipschitz.bodies import Activation, DenselyConnected, Layered, LayerOf, start_at_zero
from pushforward.networks.lipschitz.convolution import LipschitzConvolution
from pushforward.networks.lipschitz.spectral import check_bound
from pushforward.networks.lipschitz.vectors import LIPSCHITZ
from pushforward.parts import ModulePart


class _ImageNetwork(ModulePart):
    """A body of images, with a context's shift of what its first layer gives."""

    body: nn.Module

    def __init__(
        self, inputs: int, context: int | Sequence[int], body: Layered | DenselyConnected, lipschitz: float
    ) -> None:
        super().__init__()
        self.inputs, self.context, self.lipschitz, self.body = inputs, context, lipschitz, body
        extra = channels(context)
        self.shift = ChannelConv2d(extra, body.width, 3) if extra else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        owner = type(self).__name__
        if x.dim() < 3 or x.shape[-3] != self.inputs:
            raise ShapeError(f"{owner} expects images (..., {self.inputs}, H, W), got shape {tuple(x.shape)}")
        return over_batches(self._network, join_image(x, context, self.context, owner))

    def _network(self, joined: Tensor) -> Tensor:
        if self.shift is None:
            return self.body(joined, 0.0)
        x, context = joined.split([self.inputs, joined.shape[1] - self.inputs], 1)
        return self.body(x, self.shift(context))


class LipschitzConvNet(_ImageNetwork):
    r"""A convolutional network ``g`` with ``|g(x) - g(y)| <= c |x - y|``, the residual of an invertible residual
    network for images: kernels of size 3, 1, ..., 1, 3.

    Each convolution is shrunk to a norm of 1 as the linear map that it is on the given plane, the last one to ``c``;
    the last one starts at zero. How it depends on the context is not bounded.

    Args:
        inputs, outputs: channels in and out.
        context: features of a context vector, repeated over the pixels, or the shape of a context image; 0 for none.
        plane: height and width of the images.
        hidden: channels of the hidden layers.
        blocks: hidden layers.
        activation: ``LipSwish``, ``CLipSwish``, ``LipschitzSine`` or ``LipschitzELU``, or one of those with options.
        lipschitz: the bound ``c``, above 0 and at most 1; below 1 for a residual flow.

    Shapes: ``x`` is ``(..., inputs, H, W)``, the result ``(..., outputs, H, W)``.

    Raises:
        UsageError: if the bound is none, or there is no hidden layer.
        ShapeError: if the input or the context does not have the channels or the plane stated.

    Source: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen (2019), arXiv:1811.00995, section 5; Chen et al. (2019),
        arXiv:1906.02735.

    Example:
        >>> import torch
        >>> LipschitzConvNet(1, 1, plane=(8, 8), hidden=16)(torch.ones(5, 1, 8, 8)).shape
        torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int | Sequence[int] = 0,
        *,
        plane: Sequence[int],
        hidden: int = 64,
        blocks: int = 2,
        activation: Activation = LipSwish,
        lipschitz: float = LIPSCHITZ,
    ) -> None:
        _check(lipschitz, hidden, blocks, "LipschitzConvNet")
        layers = [_convolution(3, plane), *[_convolution(1, plane)] * (blocks - 1), _convolution(3, plane)]
        body = Layered(layers, [inputs, *[hidden] * blocks, outputs], activation, 3, lipschitz)
        start_at_zero(body)
        super().__init__(inputs, context, body, lipschitz)


class LipschitzDenseNet(_ImageNetwork):
    r"""A densely connected convolutional network ``g`` with ``|g(x) - g(y)| <= c |x - y|``, the residual of a DenseNet
    flow for images.

    ``g = W_n h_{n-1} ... h_1`` with dense layers ``h(x) = [a x, b phi(W * x)]``, ``a^2 + b^2 = 1`` learned, 3 x 3
    convolutions ``W`` of norm 1, and a last 1 x 1 convolution of norm ``c``, which starts at zero. The context shifts
    ``W_1 * x``.

    Args:
        inputs, outputs: channels in and out.
        context: features of a context vector, repeated over the pixels, or the shape of a context image; 0 for none.
        plane: height and width of the images.
        hidden: the units that each layer adds.
        blocks: dense layers.
        activation: ``CLipSwish``, ``LipSwish``, ``LipschitzSine`` or ``LipschitzELU``, or one of those with options.
        lipschitz: the bound ``c``, above 0 and at most 1; below 1 for a residual flow.

    Shapes: ``x`` is ``(..., inputs, H, W)``, the result ``(..., outputs, H, W)``.

    Raises:
        UsageError: if the bound is none, or there is no dense layer.
        ShapeError: if the input or the context does not have the channels or the plane stated.

    Source: Perugachi-Diaz, Tomczak, Bhulai (2021), Invertible DenseNets with Concatenated LipSwish, arXiv:2102.02694.

    Example:
        >>> import torch
        >>> LipschitzDenseNet(1, 1, plane=(8, 8), hidden=8)(torch.ones(5, 1, 8, 8)).shape
        torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int | Sequence[int] = 0,
        *,
        plane: Sequence[int],
        hidden: int = 16,
        blocks: int = 3,
        activation: Activation = CLipSwish,
        lipschitz: float = LIPSCHITZ,
    ) -> None:
        _check(lipschitz, hidden, blocks, "LipschitzDenseNet")
        layers = [*[_convolution(3, plane)] * blocks, _convolution(1, plane)]
        body = DenselyConnected(layers, [inputs, *[hidden] * blocks, outputs], activation, 3, lipschitz)
        start_at_zero(body)
        super().__init__(inputs, context, body, lipschitz)


def _convolution(kernel_size: int, plane: Sequence[int]) -> LayerOf:
    return partial(_made, kernel_size, plane)


def _made(kernel_size: int, plane: Sequence[int], inputs: int, outputs: int, lipschitz: float) -> LipschitzConvolution:
    return LipschitzConvolution(inputs, outputs, kernel_size, plane, lipschitz=lipschitz)


def _check(lipschitz: float, hidden: int, blocks: int, owner: str) -> None:
    check_bound(lipschitz, owner)
    if hidden < 1 or blocks < 1:
        raise UsageError(f"{owner} expects at least one hidden layer of at least one channel, got {hidden=}, {blocks=}")
