"""Densely connected networks, the conditioners of integer discrete flows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import join_image, join_vector
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.images.convolution import channels
from pushforward.parts import ModulePart, Part


class _Dense(ModulePart):
    """What the two forms share: each layer sees the input and all layers before it, the last one sees everything."""

    axis: int

    def __init__(
        self, inputs: int, context: int | Sequence[int], layers: list[nn.Module], last: nn.Linear | nn.Conv2d
    ) -> None:
        super().__init__()
        self.inputs, self.context = inputs, context
        self.layers = nn.ModuleList(layers)
        self.last = last
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)

    def _run(self, x: Tensor, dropout: nn.Module) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, dropout(torch.relu(layer(x)))], self.axis)
        return self.last(x)


class DenseNet(_Dense):
    r"""A densely connected convolutional network for images (Huang et al. 2017, arXiv:1608.06993; as the conditioner
    of integer discrete flows, Hoogeboom et al. 2019, arXiv:1905.07376).

    .. math:: h_0 = (x - \mathrm{center}) / \mathrm{unit}, \quad
        h_i = \mathrm{relu}(\mathrm{conv}_i([h_0, \ldots, h_{i-1}])), \quad
        y = \mathrm{conv}_{1\times 1}([h_0, \ldots, h_{\mathrm{blocks}}]).

    These operations are all there is, so that a codec can export the network to integer arithmetic: a fixed shift
    and scale of the input, convolutions with stride 1 and zero padding (``layers``, in order, of size ``kernel``), one
    1x1 convolution (``last``), ReLU, and concatenation of channels. Dropout acts in training only.

    Args:
        inputs, outputs: channels in and out.
        context: features of a context vector, repeated over the pixels, or the shape of a context image; it is appended
            to the input before the shift and scale.
        hidden: the channels that each layer adds.
        blocks: the number of layers before the last one.
        kernel: the size of the layers' kernels, odd: 3 as a rule, 1 to keep pixels apart.
        dropout: the probability with which a whole feature map is dropped in training.
        center, unit: the fixed shift and scale of the input, integers of that order of magnitude.

    Shapes: ``x`` is ``(..., inputs, H, W)``, the result ``(..., outputs, H, W)``; the last layer starts at zero.

    Raises:
        ShapeError: if the input or the context does not have the channels stated.

    Example:
        >>> DenseNet(3, 5)(torch.randn(2, 3, 8, 8)).shape
        torch.Size([2, 5, 8, 8])
    """

    axis = -3

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int | Sequence[int] = 0,
        *,
        hidden: int = 32,
        blocks: int = 3,
        kernel: int = 3,
        dropout: float = 0.0,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        widths = _widths(inputs + channels(context), outputs, hidden, blocks)
        if kernel < 1 or kernel % 2 == 0:
            raise UsageError(f"DenseNet expects an odd kernel size, got {kernel}")
        layers: list[nn.Module] = [nn.Conv2d(width, hidden, kernel, padding=kernel // 2) for width in widths[:-1]]
        super().__init__(inputs, context, layers, nn.Conv2d(widths[-1], outputs, 1))
        self.center, self.unit = center, unit
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if x.dim() < 3 or x.shape[-3] != self.inputs:
            raise ShapeError(f"DenseNet expects images (..., {self.inputs}, H, W), got shape {tuple(x.shape)}")
        joined = join_image(x, context, self.context, "DenseNet")
        images = joined.reshape(-1, *joined.shape[-3:])
        result = self._run((images - self.center) / self.unit, self.dropout)
        return result.reshape(*joined.shape[:-3], *result.shape[-3:])


class DenseMLP(_Dense):
    r"""A densely connected network for vectors: :class:`DenseNet` with linear layers in place of convolutions.

    Args:
        inputs, outputs, context: features of the input, the result and the context (appended to the input).
        hidden: the features that each layer adds.
        blocks: the number of layers before the last one.
        dropout: the probability with which a feature is dropped in training.
        center, unit: the fixed shift and scale of the input.

    Shapes: ``x`` is ``(..., inputs)``, the result ``(..., outputs)``; the last layer starts at zero.

    Raises:
        ShapeError: if the input or the context does not have the features stated.

    Source: Huang, Liu, van der Maaten, Weinberger (2017), Densely Connected Convolutional Networks, arXiv:1608.06993.

    Example:
        >>> DenseMLP(3, 5)(torch.randn(2, 3)).shape
        torch.Size([2, 5])
    """

    axis = -1

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        *,
        hidden: int = 64,
        blocks: int = 2,
        dropout: float = 0.0,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        widths = _widths(inputs + context, outputs, hidden, blocks)
        layers: list[nn.Module] = [nn.Linear(width, hidden) for width in widths[:-1]]
        super().__init__(inputs, context, layers, nn.Linear(widths[-1], outputs))
        self.center, self.unit = center, unit
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if x.dim() < 1 or x.shape[-1] != self.inputs:
            raise ShapeError(f"DenseMLP expects vectors (..., {self.inputs}), got shape {tuple(x.shape)}")
        joined = join_vector(x, context, channels(self.context), "DenseMLP")
        return self._run((joined - self.center) / self.unit, self.dropout)


class ReZero(ModulePart):
    r"""A network times one learned factor that starts at zero, ``y = alpha f(x)``, so that the network itself can
    start at random and a flow of it still starts as the identity (Bachlechner et al. 2020, arXiv:2003.04887; in
    integer flows: van den Berg et al. 2021, IDF++, arXiv:2006.12459).

    Args:
        network: the network; its last layer, if it starts at zero, gets a random start here.

    Shapes: ``x`` and ``y`` are of the shapes of the network inside.

    Raises:
        nothing of its own: what the network inside raises.

    Example:
        >>> ReZero(DenseMLP(3, 5))(torch.randn(2, 3)).abs().sum().item()
        0.0
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.alpha = nn.Parameter(torch.zeros(()))
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d) and not layer.weight.any():
                layer.reset_parameters()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.alpha * self.network(x, context)


class Rezeroed(Part):
    """A factory of :class:`ReZero` networks.

    Args:
        network: the factory of the networks inside.

    Shapes: of inputs and outputs as the networks inside, ``(..., inputs)`` and ``(..., outputs)`` of vectors.

    Raises:
        nothing of its own: what the factory raises.

    Source: Bachlechner, Majumder, Mao, Cottrell, McAuley (2020), ReZero is All You Need, arXiv:2003.04887.

    Example:
        >>> Rezeroed(DenseMLP)(3, 5, 0)(torch.ones(2, 3)).shape
        torch.Size([2, 5])
    """

    def __init__(self, network: NetworkFactory) -> None:
        self.network = network

    def __call__(self, inputs: int, outputs: int, context: int | tuple[int, ...], /) -> ReZero:
        return ReZero(self.network(inputs, outputs, context))


def _widths(inputs: int, outputs: int, hidden: int, blocks: int) -> list[int]:
    """The width that each layer and the last one see."""
    if inputs < 1 or outputs < 1 or hidden < 1 or blocks < 0:
        raise UsageError(
            f"A dense network expects at least one input (or context), output and hidden feature and blocks >= 0, got "
            f"inputs + context = {inputs}, outputs = {outputs}, hidden = {hidden}, blocks = {blocks}"
        )
    return [inputs + index * hidden for index in range(blocks + 1)]
