"""The layers of MintNet: sums of masked convolutions whose Jacobian is triangular, with a positive diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.kernels.convolution import channels_last
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.masked.convolution import raster_mask
from pushforward.networks.mlp import MLP
from pushforward.numerics import batch_shape, bounded
from pushforward.scalar.root import TOLERANCE
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.residual.parameters import GlobalParameters
from pushforward.transforms.residual.triangular import Linearised, invert_triangular_map

MAX_LOG_SCALE = 4.0
"""The bound of ``log t``: far out, where the activations are flat, ``t`` is the layer's slope."""


class Mint(Bijection):
    r"""A layer of MintNet (Song, Meng, Ermon 2019, arXiv:1907.07945, equation 4), for vectors and for images.

    .. math:: z = t \odot x + \sum_{i=1}^K W^3_i \, h\Bigl(\sum_{j=1}^K W^2_{ij} \, h(W^1_j x + b^1_j) + b^2_i\Bigr)
        + b^3, \quad h = \tanh

    The matrices are lower triangular, and those on the way from a variable to itself have positive diagonals, as has
    ``t``. So the Jacobian is triangular, and its diagonal, all that the log-determinant needs, comes of the same pass:

    .. math:: \frac{\partial z_v}{\partial x_v} = t_v + \sum_i W^3_{i,vv} h'(\cdot) \sum_j W^2_{ij,vv} h'(\cdot)
        W^1_{j,vv}

    Of images the matrices are convolutions that are causal in raster order
    (:func:`~pushforward.networks.masked.convolution.raster_mask`). In a layer that is not reversed a variable depends
    on those before it, so layers take turns.

    As ``h`` is bounded, so are the places where the inverse may lie. It is found by Newton steps along the diagonal, of
    all variables at once (:mod:`~pushforward.transforms.residual.triangular`); gradients through it are by implicit
    differentiation.

    Args:
        shape: the shape of the events, ``(D,)`` or ``(C, H, W)``.
        units: the number ``K`` of hidden units for each variable, in both hidden layers.
        kernel_size: the sides of an image's convolutions, an odd number.
        reverse: whether each variable depends on those behind it instead.
        network: with a context, a network factory, called as ``network(context, 2 C (K + 1), 0)``; it moves
            ``b^1``, ``b^2``, ``b^3`` and ``log t``.
        context: a number of features or a space of vectors; 0 for none.

    Raises:
        UsageError: if the shape is neither a vector's nor an image's, or ``units`` or ``kernel_size`` does not fit.
        ShapeError: if the input does not have the shape, or the context is missing or misshapen.

    Example:
        >>> from pushforward.transforms import Chain
        >>> layers = Chain([Mint((3,)), Mint((3,), reverse=True)])
        >>> x = torch.randn(8, 3)
        >>> z, log_det = layers(x)
        >>> torch.allclose(layers.inverse(z)[0], x, atol=1e-5)
        True
    """

    tolerance = TOLERANCE

    def __init__(
        self,
        shape: Sequence[int],
        units: int = 8,
        kernel_size: int = 3,
        reverse: bool = False,
        network: NetworkFactory | nn.Module = MLP,
        context: Context = 0,
    ) -> None:
        super().__init__()
        if len(shape) not in (1, 3) or min(shape) < 1 or units < 1:
            raise UsageError(
                f"Mint expects a shape (features,) or (channels, height, width) and at least 1 unit, got "
                f"{tuple(shape)} and units={units}"
            )
        self.domain = self.codomain = Reals(tuple(shape))
        self.context = vector_context(context, "Mint")
        self.channels, self.units, self.reverse = shape[0], units, reverse
        # A vector is an image of one pixel; its features are the channels.
        size = kernel_size if len(shape) == 3 else 1
        self.channels, self.units, self.reverse = shape[0], units, reverse
        self.first = TriangularKernel(shape[0], (1, units), size, reverse)
        self.second = TriangularKernel(shape[0], (units, units), size, reverse)
        self.third = TriangularKernel(shape[0], (units, 1), size, reverse, small=True)
        self.sizes = [shape[0] * units, shape[0] * units, shape[0], shape[0]]
        # The units of a variable differ from the start in where they bend.
        start = torch.cat([torch.randn(self.sizes[0]), torch.zeros(sum(self.sizes[1:]))])
        self.parameters_of = GlobalParameters(start, network, self.context, "Mint")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        z, slope = self._map(x, context)(self._planes(x))
        return z.reshape(x.shape), self._log_det(slope, x)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        return self._map(x, context).value(self._planes(x)).reshape(x.shape)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        layer = self._map(z, context)
        x = self._solve(layer, z)
        return x.reshape(z.shape), -self._log_det(layer(x)[1], z)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        return self._solve(self._map(z, context), z).reshape(z.shape)

    def _map(self, x: Tensor, context: Tensor | None) -> TriangularConvolutions:
        """The layer's map, of all that does not depend on ``x``."""
        parameters = self.parameters_of(context)
        if context is not None:
            parameters = parameters.expand(*batch_shape(x, self.event_dims), -1).reshape(-1, sum(self.sizes))
        *biases, log_scale = parameters[..., None, None].split(self.sizes, -3)
        weights = self.first(), self.second(), self.third()
        scale = torch.exp(bounded(log_scale, MAX_LOG_SCALE))
        return TriangularConvolutions(scale, *weights, *biases)

    def _solve(self, layer: TriangularConvolutions, z: Tensor) -> Tensor:
        target = self._planes(z)
        low, high = layer.bracket(target)
        before = partial(before_in_raster_order, reverse=self.reverse)
        return invert_triangular_map(layer, layer.linearised, target, low, high, before)

    def _planes(self, x: Tensor) -> Tensor:
        """Events as rows of images ``(N, C, H, W)``."""
        plane = self.event_shape[1:] or (1, 1)
        return channels_last(x.reshape(batch_shape(x, self.event_dims).numel(), self.channels, *plane))

    def _log_det(self, slope: Tensor, x: Tensor) -> Tensor:
        return slope.log().flatten(1).sum(1).reshape(batch_shape(x, self.event_dims))


class TriangularKernel(nn.Module):
    r"""The weights of a convolution between units of variables, each of which sees its own variable and those before.

    A channel's units lie side by side. Weights between units of the same variable are positive, made so by a softplus.

    Args:
        channels: the channels ``C`` of the image, which are the variables of a pixel.
        units: for each variable, the units that come in and go out.
        kernel_size: the sides of the kernel.
        reverse: whether units see the variables behind their own instead.
        small: whether the weights start near zero.

    Example:
        >>> TriangularKernel(3, (1, 2), 1, reverse=False)()[..., 0, 0].abs().gt(0).int()
        tensor([[1, 0, 0],
                [1, 0, 0],
                [1, 1, 0],
                [1, 1, 0],
                [1, 1, 1],
                [1, 1, 1]], dtype=torch.int32)
    """

    others: Tensor
    own: Tensor

    def __init__(
        self, channels: int, units: tuple[int, int], kernel_size: int, reverse: bool, *, small: bool = False
    ) -> None:
        super().__init__()
        degrees = [[channel for channel in range(channels) for _ in range(count)] for count in units]
        others = raster_mask(*degrees, kernel_size, strict=True, reverse=reverse)
        own = raster_mask(*degrees, kernel_size, reverse=reverse) & ~others
        kind = torch.get_default_dtype()
        self.register_buffer("others", others.to(kind), persistent=False)
        # A mean over the units that come in, however many they are.
        self.register_buffer("own", own.to(kind) / units[0], persistent=False)
        bound = others.sum((1, 2, 3), keepdim=True).clamp_min(1).rsqrt()
        free = (0.1 if small else 1.0) * bound * (2.0 * torch.rand(own.shape) - 1.0)
        positive = torch.randn(own.shape) - (2.0 if small else 0.0)
        self.weight = nn.Parameter(torch.where(own, positive, free))

    def forward(self) -> Tensor:
        return self.weight * self.others + F.softplus(self.weight) * self.own


@dataclass(frozen=True)
class TriangularConvolutions:
    r"""The map ``L(x) = t x + W_3 h(W_2 h(W_1 x + b_1) + b_2) + b_3`` of images ``(N, C, H, W)``.

    Attributes:
        scale: ``t``, ``(N or 1, C, 1, 1)``.
        first, second, third: the kernels ``W_1``, ``W_2``, ``W_3``.
        first_bias, second_bias, third_bias: ``(N or 1, channels, 1, 1)``.
    """

    scale: Tensor
    first: Tensor
    second: Tensor
    third: Tensor
    first_bias: Tensor
    second_bias: Tensor
    third_bias: Tensor

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``L(x)`` and the diagonal of its Jacobian."""
        inner, outer = self._activations(x)
        return self._value(x, outer), self._slope(1.0 - inner.square(), 1.0 - outer.square())

    def value(self, x: Tensor) -> Tensor:
        """Return ``L(x)`` alone."""
        return self._value(x, self._activations(x)[1])

    def bracket(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Between which numbers the root of ``L(x) = z`` lies, since the activations lie between -1 and 1."""
        reach = self.third.abs().sum((1, 2, 3))[:, None, None] * 1.01 + 0.01 * (1.0 + z.abs())
        centre = z - self.third_bias
        return (centre - reach) / self.scale, (centre + reach) / self.scale

    def linearised(self, x: Tensor) -> Linearised:
        """Return the Jacobian at ``x``."""
        inner, outer = (1.0 - each.square() for each in self._activations(x))
        tensors = self._slope(inner, outer), self.scale, inner, outer, self.first, self.second, self.third
        return Linearised(_times, _transposed, tensors)

    def _activations(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inner = torch.tanh(convolve(x, self.first) + self.first_bias)
        return inner, torch.tanh(convolve(inner, self.second) + self.second_bias)

    def _value(self, x: Tensor, outer: Tensor) -> Tensor:
        return self.scale * x + convolve(outer, self.third) + self.third_bias

    def _slope(self, inner: Tensor, outer: Tensor) -> Tensor:
        """The Jacobian's diagonal, of the derivatives of the activations."""
        channels = len(self.third)
        first, second, third = (_within(each, channels) for each in (self.first, self.second, self.third))
        paths = outer * _convolve_within(inner * first.flatten()[:, None, None], second)
        return self.scale + _convolve_within(paths, third)


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve ``(N, C, H, W)`` with ``(C', C, k, k)`` and keep the plane's size; a plane of one pixel is a vector."""
    if x.shape[-2:] == kernel.shape[-2:] == (1, 1):
        return F.linear(x.flatten(1), kernel.flatten(1))[..., None, None]
    return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


def before_in_raster_order(marks: Tensor, reverse: bool) -> Tensor:
    """For each number of images ``(N, C, H, W)`` whether any before it in raster order is marked.

    Example:
        >>> before_in_raster_order(torch.tensor([[[[False, True, False]]]]), reverse=False)
        tensor([[[[False, False,  True]]]])
    """
    ordered = marks.permute(0, 2, 3, 1)
    counts = ordered.flatten(1).cumsum(1)
    earlier = counts[:, -1:] > counts if reverse else counts > ordered.flatten(1)
    return earlier.view(ordered.shape).permute(0, 3, 1, 2)


def _times(tensors: tuple[Tensor, ...], v: Tensor) -> Tensor:
    """The Jacobian's product, ``t v + W_3 h' W_2 h' W_1 v``."""
    _, scale, inner, outer, first, second, third = tensors
    return scale * v + convolve(outer * convolve(inner * convolve(v, first), second), third)


def _transposed(tensors: tuple[Tensor, ...], v: Tensor) -> Tensor:
    """The transposed Jacobian's product, ``t v + W_1^T h' W_2^T h' W_3^T v``."""
    _, scale, inner, outer, *kernels = tensors
    first, second, third = (each.flip(2, 3).transpose(0, 1) for each in kernels)
    return scale * v + convolve(inner * convolve(outer * convolve(v, third), second), first)


def _within(kernel: Tensor, channels: int) -> Tensor:
    """The weights between units of the same variable, ``(C, units out, units in)``."""
    centre = kernel[:, :, kernel.shape[2] // 2, kernel.shape[3] // 2]
    blocks = centre.unflatten(0, (channels, -1)).unflatten(2, (channels, -1))
    return blocks.diagonal(dim1=0, dim2=2).movedim(-1, 0)


def _convolve_within(x: Tensor, weights: Tensor) -> Tensor:
    """Apply weights ``(C, units out, units in)`` to the units of each variable."""
    if x.shape[-2:] == (1, 1):
        units = x.flatten(1).unflatten(1, (len(weights), -1))
        return torch.einsum("coi,nci->nco", weights, units).flatten(1)[..., None, None]
    return F.conv2d(x, weights.flatten(0, 1)[..., None, None], groups=len(weights))
