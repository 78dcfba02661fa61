"""Velocity fields on circles, made of fields of the plane around each."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.velocity.base import Velocity
from pushforward.spaces import Circle


class CircleVelocity(Velocity):
    r"""The part of a velocity field that is tangent to circles,
    ``v_d = P / (2 pi) (u_{d,2} cos a_d - u_{d,1} sin a_d)``, ``u = u(t, (cos a_1, sin a_1, cos a_2, ...))``, of the
    angles ``a = 2 pi x / P`` where the period is ``P``.

    It is the same after any number of turns, so that its equation can be solved along the line.

    Args:
        velocity: the field ``u`` of the ``D`` planes, of vectors of ``2 D`` numbers.
        circles: ``D`` circles.

    Raises:
        UsageError: if this is no space of vectors of circles.

    Source: Chen, Lipman (2023), arXiv:2302.03660 (tangent fields; the torus is theirs too).

    Example:
        >>> import torch
        >>> from pushforward.networks import VelocityMLP
        >>> velocity = CircleVelocity(VelocityMLP(4), Circle((2,), 0.0, 24.0))
        >>> at = velocity(torch.full((2,), 0.5), torch.tensor([[0.0, 5.0], [24.0, 29.0]]))
        >>> torch.allclose(at[0], at[1], atol=1e-4)
        True
    """

    def __init__(self, velocity: nn.Module, circles: Circle) -> None:
        super().__init__()
        if not isinstance(circles, Circle) or len(circles.shape) != 1:
            raise UsageError(f"CircleVelocity expects vectors of circles such as Circle((2,)), got {circles!r}")
        self.velocity = velocity
        self.circles = circles

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        points = self.circles.features(x)
        cos, sin = points.unflatten(-1, (-1, 2)).unbind(-1)
        first, second = self.velocity(time, points, context).unflatten(-1, (-1, 2)).unbind(-1)
        return (self.circles.period / (2.0 * math.pi)) * (second * cos - first * sin)  # type: ignore[no-any-return]
