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
from pushforward.transforms.residual.orthonormal import Columns, HouseholderBasis, OrthonormalBasis
from pushforward.transforms.residual.parameters import GlobalParameters, small_normal
from pushforward.transforms.residual.planar import MIN_SLOPE, solve_unit


class Sylvester(Bijection):
    r"""A Sylvester flow, ``z = x + Q R tanh(R' Q^T x + b)`` (van den Berg, Hasenclever, Tomczak, Welling 2018,
    arXiv:1803.05649).

    ``Q`` has ``M`` orthonormal columns; ``R`` and ``R'`` are upper triangular with diagonals inside ``(-1, 1)``, so
    that ``r_i r'_i > -1`` and the map is invertible (theorem 2). ``log_det = sum_i log(1 + r_i r'_i tanh'(.)_i)``. In
    the coordinates ``Q^T x`` the equations are triangular, so the inverse solves ``M`` equations in one unknown, the
    last first, each by guarded Newton steps; gradients through it are by implicit differentiation.

    Args:
        features: the number of dimensions ``D``.
        units: the number of hidden units ``M``, at most ``D``; by default ``D``.
        basis: how ``Q`` is made, which gives the three forms of the paper: :class:`HouseholderBasis`, the default,
            :class:`OrthogonalBasis`, or :class:`PermutationBasis`, the triangular one.
        network: with a context, a network factory, called as ``network(context, P, 0)``.
        context: a number of features or a space of vectors; the context decides all parameters; 0 learns them freely.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: if ``units`` is not between 1 and ``D``, or the basis has none of so many columns.
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
        basis: OrthonormalBasis | None = None,
        network: NetworkFactory | nn.Module = MLP,
        context: Context = 0,
    ) -> None:
        super().__init__()
        units = features if units is None else units
        if not 1 <= units <= features:
            raise UsageError(f"Sylvester expects 1 <= units <= {features}, got units={units}")
        self.domain = self.codomain = Reals((features,))
        self.context = vector_context(context, "Sylvester")
        self.units, self.basis = units, HouseholderBasis() if basis is None else basis
        # One square has both triangles without their diagonals, and one of these.
        start = [self.basis.start(features, units), small_normal(units * (units + 2))]
        self.sizes = [len(start[0]), units * units, units, units]
        self.parameters_of = GlobalParameters(torch.cat(start), network, self.context, "Sylvester")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        columns, outer, inner, b = self._constrained(context)
        y = columns.project(x)
        activation = torch.tanh(_times(inner, y) + b)
        slopes = torch.log1p(_diagonals(outer, inner) * (1.0 - activation.square()))
        return x + columns.expand(_times(outer, activation)), slopes.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.domain)
        columns, outer, inner, b = self._constrained(context)
        target = columns.project(z)
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
        return z - columns.expand(_times(outer, activation)), log_det

    def _constrained(self, context: Tensor | None) -> tuple[Columns, Tensor, Tensor, Tensor]:
        """Return ``Q``, ``R``, ``R'`` and ``b``."""
        raw, square, diagonal, b = self.parameters_of(context).split(self.sizes, -1)
        square = square.unflatten(-1, (self.units, self.units))
        outer = _triangular(square, square.diagonal(dim1=-2, dim2=-1))
        inner = _triangular(square.mT, diagonal)
        return self.basis.columns(raw, self.event_shape[0], self.units), outer, inner, b


def _triangular(raw: Tensor, raw_diagonal: Tensor) -> Tensor:
    """Upper triangular with a diagonal inside (-1, 1)."""
    limit = (1.0 - MIN_SLOPE) ** 0.5
    return raw.triu(1) + torch.diag_embed(limit * torch.tanh(raw_diagonal))


def _diagonals(outer: Tensor, inner: Tensor) -> Tensor:
    return outer.diagonal(dim1=-2, dim2=-1) * inner.diagonal(dim1=-2, dim2=-1)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]
