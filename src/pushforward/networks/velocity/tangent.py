"""Velocity fields on spheres, made of fields of the space around them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.networks.velocity.base import Velocity, divergence_along


class TangentVelocity(Velocity):
    r"""The part of a velocity field that is tangent to the sphere, ``v(t, x) = |x| (u - (u . y) y)`` with ``u = u(t,
    y)`` and ``y = x / |x|``.

    Off the unit sphere it grows with the distance from the center. Whatever rounding and a solver's errors make of the
    length, the direction then moves as it would on the sphere, and the divergence is that of the sphere's tangent
    field: along the ray nothing is added.

    Args:
        velocity: the field ``u`` of the space around, of vectors of ``n + 1`` numbers.

    Shapes: times are ``(...)``, ``x`` and ``v`` are ``(..., n + 1)``.

    Raises:
        nothing of its own: what the velocity within raises.

    Source: Chen, Lipman (2023), arXiv:2302.03660, appendix (the projection); the continuation off the sphere is ours.

    Example:
        >>> from pushforward.networks import VelocityMLP
        >>> x = nn.functional.normalize(torch.randn(5, 3), dim=-1)
        >>> v = TangentVelocity(VelocityMLP(3))(torch.rand(5), x)
        >>> (v * x).sum(-1).abs().max().item() < 1e-6
        True
    """

    def __init__(self, velocity: nn.Module) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        y = x / length
        u = self.velocity(time, y, context)
        return length * (u - (u * y).sum(-1, keepdim=True) * y)

    def with_divergence(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return divergence_along(self, time, x, context, tangent_frame(x))


def tangent_frame(x: Tensor) -> Tensor:
    r"""Return orthonormal vectors that are tangent to the sphere through ``x``, ``(n, ..., n + 1)``: the images of all
    unit vectors but the last under the reflection that takes the last one to ``x``'s direction or its opposite.

    Example:
        >>> tangent_frame(torch.tensor([1.0, 0.0])).tolist()
        [[0.0, -1.0]]
    """
    y = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    last = y[..., -1:]
    # Of the two reflections the one that does not cancel.
    mirror = torch.cat([y[..., :-1], last + torch.where(last < 0, -1.0, 1.0)], -1)
    units = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)[:-1]
    units = units.reshape(-1, *[1] * (x.dim() - 1), x.shape[-1])
    return units - y[..., :-1].movedim(-1, 0).unsqueeze(-1) * (mirror / (1.0 + last.abs()))
