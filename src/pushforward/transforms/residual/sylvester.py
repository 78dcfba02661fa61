"""Sylvester flows: planar flows with many hidden units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.scalar.root import TOLERANCE
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.linear.matrices import reflect
from pushforward.transforms.residual.parameters import GlobalParameters, small_normal
from pushforward.transforms.residual.planar import MIN_SLOPE, solve_unit


class Sylvester(Bijection):
    r"""A Sylvester flow, ``z = x + Q R tanh(R' Q^T x + b)`` (van den Berg, Hasenclever, Tomczak, Welling 2018,
    arXiv:1803.05649).

    ``Q`` has ``M`` orthonormal columns, made of Householder reflections; ``R`` and ``R'`` are upper triangular with
    diagonals inside ``(-1, 1)``, so that ``r_i r'_i > -1`` and the map is invertible (theorem 2).
    ``log_det = sum_i log(1 + r_i r'_i tanh'(.)_i)``. In the coordinates ``Q^T x`` the equations are triangular, so the
    inverse solves ``M`` equations in one unknown, the last first, each by guarded Newton steps; gradients through
    it are by implicit differentiation.

    Args:
        features: the number of dimensions ``D``.
        units: the number of hidden units ``M``, at most ``D``; by default ``D``.
        reflections: how many Householder reflections make ``Q``; by default ``M``, which reaches every ``Q``.
        network: with a context, a network factory, called as ``network(context, P, 0)``.
        context: a number of features or a space of vectors; the context decides all parameters; 0 learns them freely.

    Raises:
        UsageError: if ``units`` is not between 1 and ``D``, or there is no reflection.
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Example:
        >>> layer = Sylvester(4, units=2)
        >>> x = torch.randn(8, 4)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
    """

    tolerance = TOLERANCE

    def __init__(
        self,
        features: int,
        units: int | None = None,
        reflections: int | None = None,
        network: NetworkFactory | nn.Module = MLP,
        context: Context = 0,
    ) -> None:
        super().__init__()
        units = features if units is None else units
        reflections = units if reflections is None else reflections
        if not 1 <= units <= features or reflections < 1:
            raise UsageError(
                f"Sylvester expects 1 <= units <= {features} and at least 1 reflection, got units={units}, "
                f"reflections={reflections}"
            )
        self.domain = self.codomain = Reals((features,))
        self.context = vector_context(context, "Sylvester")
        self.units, self.reflections = units, reflections
        self.sizes = [reflections * features, units * units, units * units, units]
        self.parameters_of = GlobalParameters(small_normal(sum(self.sizes)), network, self.context, "Sylvester")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        vectors, outer, inner, b = self._constrained(context)
        y = reflect(x, vectors)[..., : self.units]
        activation = torch.tanh(_times(inner, y) + b)
        slopes = torch.log1p(_diagonals(outer, inner) * (1.0 - activation.square()))
        return x + self._back(_times(outer, activation), vectors), slopes.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.domain)
        vectors, outer, inner, b = self._constrained(context)
        target = reflect(z, vectors)[..., : self.units]
        strengths = _diagonals(outer, inner)
        # The units and activations known so far, from the last back to the first.
        y, activation = target[..., :0], target[..., :0]
        log_det = torch.zeros_like(target[..., 0])
        for i in reversed(range(self.units)):
            scale = inner[..., i, i]
            rest = target[..., i] - (outer[..., i, i + 1 :] * activation).sum(-1)
            shift = (inner[..., i, i + 1 :] * y).sum(-1) + b[..., i]
            # In a = scale * y the unit reads a + strength tanh(a + shift) = scale * rest.
            a, minus_log_slope = solve_unit(scale * rest, strengths[..., i], shift)
            activated = torch.tanh(a + shift)
            y = torch.cat([(rest - outer[..., i, i] * activated)[..., None], y], -1)
            activation = torch.cat([activated[..., None], activation], -1)
            log_det = log_det + minus_log_slope
        return z - self._back(_times(outer, activation), vectors), log_det

    def _back(self, y: Tensor, vectors: Tensor) -> Tensor:
        """Return ``Q y``."""
        padded = torch.nn.functional.pad(y, (0, self.event_shape[0] - self.units))
        return reflect(padded, vectors.flip(-2))

    def _constrained(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the reflections' vectors, ``R``, ``R'`` and ``b``."""
        vectors, outer, inner, b = self.parameters_of(context).split(self.sizes, -1)
        square = (self.units, self.units)
        return (
            vectors.unflatten(-1, (self.reflections, -1)),
            _triangular(outer.unflatten(-1, square)),
            _triangular(inner.unflatten(-1, square)),
            b,
        )


def _triangular(raw: Tensor) -> Tensor:
    """Upper triangular with a diagonal inside (-1, 1)."""
    limit = (1.0 - MIN_SLOPE) ** 0.5
    return raw.triu(1) + torch.diag_embed(limit * torch.tanh(raw.diagonal(dim1=-2, dim2=-1)))


def _diagonals(outer: Tensor, inner: Tensor) -> Tensor:
    return outer.diagonal(dim1=-2, dim2=-1) * inner.diagonal(dim1=-2, dim2=-1)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]
