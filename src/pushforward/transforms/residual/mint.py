"""The layers of MintNet: sums of masked convolutions whose Jacobian is triangular, with a positive diagonal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.convolution import channels_last
from pushforward.kernels.iteration import separate
from pushforward.networks.context import Context, image_context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.numerics import batch_shape, bounded
from pushforward.scalar.root import TOLERANCE
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.residual.parameters import GlobalParameters, PlaneParameters
from pushforward.transforms.residual.triangular_convolutions import TriangularConvolutions, TriangularKernel

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
        network: with a context, a factory of networks that move ``b^1``, ``b^2``, ``b^3`` and ``log t``: for vectors
            called as ``network(context, 2 D (K + 1), 0)``, for images as ``network(0, 2 C (K + 1), context)``, a
            network of images that see the context alone.
        context: a number of features, a space, or for images the shape of an image; 0 for none.

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
        units: int = 16,
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
        # A vector is an image of one pixel; its features are the channels.
        sides = kernel_size if len(shape) == 3 else 1
        self.channels, self.reverse = shape[0], reverse
        self.first = TriangularKernel(shape[0], (1, units), sides, reverse)
        self.second = TriangularKernel(shape[0], (units, units), sides, reverse)
        self.third = TriangularKernel(shape[0], (units, 1), sides, reverse, size=0.5)
        self.sizes = [shape[0] * units, shape[0] * units, shape[0], shape[0]]
        # The units of a variable differ from the start in where they bend.
        start = torch.cat([torch.randn(self.sizes[0]), torch.zeros(sum(self.sizes[1:]))])
        self.parameters_of: nn.Module
        if len(shape) == 1:
            self.context = vector_context(context, "Mint")
            self.parameters_of = GlobalParameters(start, network, self.context, "Mint")
        else:
            self.context = image_context(context, "Mint")
            self.parameters_of = PlaneParameters(start, shape[1:], network, self.context, "Mint")

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
        x = layer.root(self._planes(z), self.reverse)
        return x.reshape(z.shape), -self._log_det(layer(x)[1], z)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        return self._map(z, context).root(self._planes(z), self.reverse).reshape(z.shape)

    def _map(self, x: Tensor, context: Tensor | None) -> TriangularConvolutions:
        """The layer's map, of all that does not depend on ``x``."""
        *biases, log_scale = separate(self._biases_and_scale(x, context).split(self.sizes, -3))
        weights = self.first(), self.second(), self.third()
        scale = torch.exp(bounded(log_scale, MAX_LOG_SCALE))
        return TriangularConvolutions(scale, *weights, *biases)

    def _biases_and_scale(self, x: Tensor, context: Tensor | None) -> Tensor:
        """``b_1``, ``b_2``, ``b_3`` and ``log t`` before it is bounded, ``(N or 1, P, H or 1, W or 1)``."""
        parameters: Tensor = self.parameters_of(context)
        own = parameters.shape[-self.event_dims :]
        batch = () if context is None else batch_shape(x, self.event_dims)
        return parameters.expand(*batch, *own).reshape(-1, own[0], *(own[1:] or (1, 1)))

    def _planes(self, x: Tensor) -> Tensor:
        """Events as rows of images ``(N, C, H, W)``."""
        plane = self.event_shape[1:] or (1, 1)
        return channels_last(x.reshape(-1, self.channels, *plane))

    def _log_det(self, slope: Tensor, x: Tensor) -> Tensor:
        return slope.log().flatten(1).sum(1).reshape(batch_shape(x, self.event_dims))
