"""Flows on spheres along the gradient of a soft maximum, which is convex in the sense of optimal transport."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.numerics import bounded
from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.spaces import Sphere
from pushforward.transforms.manifolds.exponential_map import GradientMap
from pushforward.transforms.manifolds.fields import MAX_WEIGHT
from pushforward.transforms.manifolds.potentials import SoftMaximum
from pushforward.transforms.residual.parameters import GlobalParameters

MAX_LOG_FACTOR = 3.0
"""How far the sharpness may be learned away from where it starts, as a logarithm."""

START = 0.1
"""The spread of the centers at the start: the maps begin near the identity, no two centers at the same place."""


class ConvexPotentialMap(GradientMap):
    r"""A flow on ``S^n`` along the gradient of a soft maximum of linear functions, ``z = exp_x(grad phi(x))``,
    ``phi(x) = 1 / s log sum_i exp(s (m_i . x + a_i))``, ``|m_i| < 1``.

    The sphere falls into soft cells, ``p_i(x) = softmax_i(s (m_i . x + a_i))``, and each is drawn to a center of its
    own: ``grad phi(x)`` is the part of ``sum_i p_i(x) m_i`` that is tangent to the sphere. A function ``m_i . x`` alone
    moves no point past another, which makes it convex in the sense of optimal transport (``c``-convex, of the cost of
    half the squared distance). So is a soft maximum, whose Hessian is the mean of theirs and a variance, and the map is
    a bijection whatever its parameters are. Cells can be sharp, as sums of centers (:class:`ExponentialMap`) cannot:
    few of these maps do what takes many of those.

    The log-determinant is that of :class:`ExponentialMap`, and the inverse is found in the same way.

    Args:
        n: the dimension of the sphere.
        centers: how many.
        sharpness: of the maximum at the start, ``s``; it is learned up to a factor of 20.
        network: with a context, a network factory, called as ``network(context, centers * (n + 2) + 1, 0)``.
        context: a number of features or a space of vectors, which decides centers, offsets and sharpness; 0 learns them
            freely.

    Shapes: ``x`` and ``z`` are ``(..., n + 1)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: if ``centers`` or ``sharpness`` is not positive.
        ShapeError: if the input does not end in ``n + 1``, or the context is missing or misshapen.
        ConvergenceError: if the inverse of an event is not found, as for one that is not finite. In compiled code,
            which cannot raise, it is NaN.

    Source: Cohen, Amos, Lipman (2021), Riemannian convex potential maps, arXiv:2106.10272, whose soft minimum is of
    squared distances; linear functions have no cut locus, so that the density is smooth all over the sphere.

    Example:
        >>> layer = ConvexPotentialMap(2, centers=4)
        >>> x = nn.functional.normalize(torch.randn(8, 3), dim=-1)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
    """

    def __init__(
        self,
        n: int = 2,
        centers: int = 16,
        sharpness: float = 12.0,
        network: NetworkFactory | nn.Module = MLP,
        context: Context = 0,
    ) -> None:
        super().__init__()
        check_counts("ConvexPotentialMap", centers=centers)
        check_positive("ConvexPotentialMap", sharpness=sharpness)
        self.domain = self.codomain = Sphere(n)
        self.context = vector_context(context, "ConvexPotentialMap")
        self.sharpness = sharpness
        start = torch.cat([START * torch.randn(centers * (n + 1)), torch.zeros(centers + 1)])
        self.parameters_of = GlobalParameters(start, network, self.context, "ConvexPotentialMap")

    def potential(self, parameters: Tensor) -> SoftMaximum:
        each, raw = parameters[..., :-1].unflatten(-1, (self.event_shape[0] + 1, -1)), parameters[..., -1:]
        vectors, offsets = each[..., :-1, :].mT, each[..., -1, :]
        shrunk = MAX_WEIGHT * vectors / torch.sqrt(1.0 + vectors.square().sum(-1, keepdim=True))
        return SoftMaximum(shrunk, offsets, self.sharpness * torch.exp(bounded(raw, MAX_LOG_FACTOR)))
