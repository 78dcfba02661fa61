"""Rotations of spheres."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.kernels.reflections import Reflections
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.numerics import no_log_det
from pushforward.spaces import Sphere
from pushforward.transforms.base import Bijection
from pushforward.transforms.residual.parameters import GlobalParameters


class Rotation(Bijection):
    r"""A learned rotation of ``S^n``, ``z = H_K ... H_1 x`` with an even number of Householder reflections ``H``;
    ``log_det = 0``. As many reflections as there are coordinates, or one more, reach every rotation; it starts at a
    random one, so that layers between such rotations have their poles at different places.

    Args:
        n: the dimension of the sphere.
        network: with a context, a network factory, called as ``network(context, K (n + 1), 0)``.
        context: a number of features or a space of vectors, which decides the rotation; 0 learns it freely.

    Shapes: ``x`` and ``z`` are ``(..., n + 1)``, ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``n + 1``, or the context is missing or misshapen.

    Source: Tomczak, Welling (2016), arXiv:1611.09630 (the reflections).

    Example:
        >>> layer = Rotation(2)
        >>> z, log_det = layer(torch.eye(3))
        >>> torch.allclose(z @ z.mT, torch.eye(3), atol=1e-5), log_det.tolist()
        (True, [0.0, 0.0, 0.0])
    """

    def __init__(self, n: int = 2, network: NetworkFactory | nn.Module = MLP, context: Context = 0) -> None:
        super().__init__()
        self.domain = self.codomain = Sphere(n)
        self.context = vector_context(context, "Rotation")
        reflections = n + 1 + (n + 1) % 2
        self.vectors_of = GlobalParameters(torch.randn(reflections * (n + 1)), network, self.context, "Rotation")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        return self._reflections(context).apply(x), no_log_det(x, 1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        return self._reflections(context).apply_transposed(z), no_log_det(z, 1)

    def _reflections(self, context: Tensor | None) -> Reflections:
        return Reflections.along(self.vectors_of(context).unflatten(-1, (-1, self.event_shape[0])))
