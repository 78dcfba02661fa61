"""Radial flows: expansions and contractions around a point."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.numerics import length
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.residual.parameters import GlobalParameters, small_normal

MIN_RADIUS = 0.01
"""Least value of ``alpha`` and of ``alpha + beta``: the contraction at the centre stays invertible in float32."""


class Radial(Bijection):
    r"""A radial flow, ``z = x + beta (x - c) / (alpha + r)`` with ``r = |x - c|`` (Rezende, Mohamed 2015,
    arXiv:1505.05770, equation 14).

    With ``gamma = alpha + beta``, ``log_det = (D - 1) log((gamma + r) / (alpha + r)) + log((r^2 + 2 alpha r + alpha
    gamma) / (alpha + r)^2)``. It is invertible if ``alpha > 0`` and ``beta > -alpha`` (appendix A.2): ``alpha`` and
    ``gamma`` are softplus of what is learned. The radius of the inverse is the root of a quadratic, so the inverse is
    a closed form.

    Args:
        features: the number of dimensions ``D``.
        network: with a context, a network factory, called as ``network(context, D + 2, 0)``.
        context: a number of features or a space of vectors, which decides ``c``, ``alpha``, ``beta``; 0 learns them
            freely.

    Raises:
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Example:
        >>> layer = Radial(3)
        >>> x = torch.randn(8, 3)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
    """

    def __init__(self, features: int, network: NetworkFactory | nn.Module = MLP, context: Context = 0) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))
        self.context = vector_context(context, "Radial")
        self.parameters_of = GlobalParameters(small_normal(features + 2), network, self.context, "Radial")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        center, alpha, gamma = self._constrained(context)
        return expand(x, center, alpha, gamma)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.domain)
        center, alpha, gamma = self._constrained(context)
        return contract(z, center, alpha, gamma)

    def _constrained(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the centre, ``alpha`` and ``gamma = alpha + beta``, both positive."""
        center, raw = self.parameters_of(context).split([self.event_shape[0], 2], -1)
        alpha, gamma = (F.softplus(raw + math.log(math.expm1(1.0 - MIN_RADIUS))) + MIN_RADIUS).unbind(-1)
        return center, alpha, gamma


def expand(x: Tensor, center: Tensor, alpha: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``center + (x - center) (gamma + r) / (alpha + r)`` with ``r = |x - center|``, and its log-determinant.

    Example:
        >>> z, log_det = expand(torch.ones(1, 2), torch.zeros(2), torch.tensor(1.0), torch.tensor(1.0))
        >>> z, log_det
        (tensor([[1., 1.]]), tensor([0.]))
    """
    r = length(x - center)
    ratio = (gamma + r) / (alpha + r)
    return center + (x - center) * ratio[..., None], _log_det(r, alpha, gamma, x.shape[-1])


def contract(z: Tensor, center: Tensor, alpha: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverse of :func:`expand`, and its log-determinant."""
    r = _inner_radius(length(z - center), alpha, gamma)
    ratio = (alpha + r) / (gamma + r)
    return center + (z - center) * ratio[..., None], -_log_det(r, alpha, gamma, z.shape[-1])


def _log_det(r: Tensor, alpha: Tensor, gamma: Tensor, features: int) -> Tensor:
    across = torch.log((gamma + r) / (alpha + r))
    # (r^2 + 2 alpha r + alpha gamma) / (alpha + r)^2 = 1 + alpha (gamma - alpha) / (alpha + r)^2
    share = alpha / (alpha + r)
    along = torch.log((1.0 - share) * (1.0 + share) + share * gamma / (alpha + r))
    return (features - 1) * across + along


def _inner_radius(outer: Tensor, alpha: Tensor, gamma: Tensor) -> Tensor:
    """The root ``r >= 0`` of ``r (gamma + r) / (alpha + r) = outer``, in the form in which nothing cancels."""
    half = 0.5 * (outer - gamma)
    root = torch.hypot(half, torch.sqrt(alpha * outer + torch.finfo(outer.dtype).tiny))
    grown = half.clamp_min(0.0) + root
    shrunk = alpha * outer / (root - half.clamp_max(0.0))
    return torch.where(half > 0, grown, shrunk)
