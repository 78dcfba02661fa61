"""Planar flows: expansions and contractions across a hyperplane."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.scalar.root import TOLERANCE, invert
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.residual.parameters import GlobalParameters, small_normal

MIN_SLOPE = 0.01
"""The least that a unit of a planar or Sylvester flow may contract by: inverses stay well conditioned in float32."""


class Planar(Bijection):
    r"""A planar flow, ``z = x + u tanh(w . x + b)`` (Rezende, Mohamed 2015, arXiv:1505.05770, equation 10).

    ``log_det = log(1 + tanh'(w . x + b) w . u)``. It is invertible if ``w . u > -1``, which is enforced by moving ``u``
    along ``w`` (appendix A.1) so that ``w . u = softplus(a) - 0.99``, smooth, and near the identity for small
    parameters. The inverse solves one equation in one unknown, the projection ``w . x``, by guarded Newton steps;
    gradients through it are by implicit differentiation.

    Args:
        features: the number of dimensions ``D``.
        network: with a context, a network factory, called as ``network(context, 2 D + 1, 0)``.
        context: a number of features or a space of vectors, which decides ``u``, ``w``, ``b``; 0 learns them freely.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Example:
        >>> layer = Planar(3)
        >>> x = torch.randn(8, 3)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
    """

    tolerance = TOLERANCE

    def __init__(self, features: int, network: NetworkFactory | nn.Module = MLP, context: Context = 0) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))
        self.context = vector_context(context, "Planar")
        self.parameters_of = GlobalParameters(small_normal(2 * features + 1), network, self.context, "Planar")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        u, w, b, strength = self._constrained(context)
        activation = torch.tanh((w * x).sum(-1) + b)
        return x + u * activation[..., None], _log_slope(activation, strength)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.domain)
        u, w, b, strength = self._constrained(context)
        projection, log_det = solve_unit((w * z).sum(-1), strength, b)
        return z - u * torch.tanh(projection + b)[..., None], log_det

    def _constrained(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return ``u``, ``w``, ``b`` and ``w . u``, which is above -1."""
        features = self.event_shape[0]
        u, w, b = self.parameters_of(context).split([features, features, 1], -1)
        product = (w * u).sum(-1, keepdim=True)
        strength = above_minus_one(product)
        tiny = torch.finfo(w.dtype).tiny
        u = u + (strength - product) * w / (w.square().sum(-1, keepdim=True) + tiny)
        return u, w, b[..., 0], strength[..., 0]


def above_minus_one(raw: Tensor) -> Tensor:
    """Map any number smoothly to one above ``-1 + MIN_SLOPE``, 0 to 0.

    Example:
        >>> above_minus_one(torch.tensor([-100.0, 0.0, 100.0])).round(decimals=2)
        tensor([-0.9900,  0.0000, 99.5400])
    """
    least = 1.0 - MIN_SLOPE
    return F.softplus(raw + math.log(math.expm1(least))) - least


def solve_unit(target: Tensor, strength: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Solve ``a + strength tanh(a + b) = target`` for ``a``; return it and minus the log-slope there."""

    def unit(a: Tensor) -> tuple[Tensor, Tensor]:
        activation = torch.tanh(a + b)
        return a + strength * activation, _log_slope(activation, strength)

    reach = strength.abs()
    return invert(unit, target, target - reach, target + reach)


def _log_slope(activation: Tensor, strength: Tensor) -> Tensor:
    """``log(1 + strength tanh')``, for a strength above -1."""
    return torch.log1p(strength * (1.0 - activation.square()))
