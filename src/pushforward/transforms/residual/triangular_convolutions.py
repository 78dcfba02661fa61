"""Sums of convolutions that are triangular in raster order, with a positive diagonal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.kernels.iteration import derivatives_wanted
from pushforward.networks.masked.convolution import raster_mask
from pushforward.transforms.residual.triangular import Linearised, follow, solve_triangular_map


class TriangularKernel(nn.Module):
    r"""The weights of a convolution between units of variables, each of which sees its own variable and those before.

    A channel's units lie side by side. Weights between units of the same variable are positive, made so by a softplus.

    Args:
        channels: the channels ``C`` of the image, which are the variables of a pixel.
        units: for each variable, the units that come in and go out.
        kernel_size: the sides of the kernel.
        reverse: whether units see the variables behind their own instead.
        size: how large the weights are at the start, 1 to keep the scale of what comes in.

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
        self, channels: int, units: tuple[int, int], kernel_size: int, reverse: bool, *, size: float = 1.0
    ) -> None:
        super().__init__()
        incoming, outgoing = ([channel for channel in range(channels) for _ in range(count)] for count in units)
        others = raster_mask(incoming, outgoing, kernel_size, strict=True, reverse=reverse)
        own = raster_mask(incoming, outgoing, kernel_size, reverse=reverse) & ~others
        kind = torch.get_default_dtype()
        self.register_buffer("others", others.to(kind), persistent=False)
        self.register_buffer("own", own.to(kind), persistent=False)
        root = others.sum((1, 2, 3), keepdim=True).clamp_min(1).rsqrt()
        free = size * root * (2.0 * torch.rand(own.shape) - 1.0)
        # About the mean of the units that come in.
        positive = math.log(math.expm1(size / units[0])) + torch.randn(own.shape)
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

    def root(self, z: Tensor, reverse: bool) -> Tensor:
        """Return the ``x`` whose value is ``z``, differentiable twice in ``z`` and in all that the map is made of.

        Raises:
            ConvergenceError: if something is not finite.
        """
        with torch.no_grad():
            x = self._find(z, reverse)
        if not derivatives_wanted():
            return x
        with torch.no_grad():
            jacobian = self._linearised(x)
        for _ in range(2):
            x = follow(self.value(x), z, x, jacobian)
        return x

    def _find(self, z: Tensor, reverse: bool) -> Tensor:
        def on_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
            value, slope = self(raster_planes(rows, z.shape[1:]))
            return raster_rows(value), raster_rows(slope)

        target, low, high = map(raster_rows, (z, *self._bracket(z)))
        return raster_planes(solve_triangular_map(on_rows, target, low, high, target, reverse=reverse), z.shape[1:])

    def _bracket(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Between which numbers the root lies, since the activations lie between -1 and 1."""
        reach = self.third.abs().sum((1, 2, 3))[:, None, None]
        # A little wider: rounding may have put the root outside.
        reach = 1.01 * reach + 0.01 * (1.0 + z.abs())
        centre = z - self.third_bias
        return (centre - reach) / self.scale, (centre + reach) / self.scale

    def _linearised(self, x: Tensor) -> Linearised:
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


def raster_rows(x: Tensor) -> Tensor:
    """Images ``(N, C, H, W)`` as rows ``(N, H W C)`` in raster order: no copy where channels are last in memory."""
    return x.permute(0, 2, 3, 1).flatten(1)


def raster_planes(rows: Tensor, shape: torch.Size) -> Tensor:
    """The images ``(N, C, H, W)`` of rows in raster order, of the ``shape`` ``(C, H, W)``.

    Example:
        >>> x = torch.randn(2, 3, 4, 5)
        >>> torch.equal(raster_planes(raster_rows(x), x.shape[1:]), x)
        True
    """
    channels, height, width = shape
    return rows.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)


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
