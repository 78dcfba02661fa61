"""Rotations of the circle."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.scalar.circles.base import CircleMap


class Rotation(CircleMap):
    r"""A rotation of the circle, ``z = x + phi``, ``log dz/dx = 0``.

    The angle is that of a point of the plane, ``phi = atan2(v, 1 + u)``, and not a number of its own, so that a network
    can turn it all the way round as its inputs go round: no continuous number does that.

    Parameters per element, 2: ``u`` and ``v``.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 2``.

    Source: Rezende et al. (2020), Normalizing Flows on Tori and Spheres, arXiv:2002.02428, which calls it a phase
    translation.

    Example:
        >>> z, _ = Rotation().forward(torch.tensor(0.5), torch.tensor([-1.0, 1.0]))
        >>> round(z.item(), 4)
        2.0708
    """

    num_parameters = 2

    def lift(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z = x + _angle(parameters)
        return z, torch.zeros_like(z)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        x = self.domain.wrap(z - _angle(parameters))
        return x, torch.zeros_like(x)


def _angle(parameters: Tensor) -> Tensor:
    u, v = parameters.unbind(-1)
    u = 1.0 + u
    # The origin has no angle, and the gradient there would be NaN.
    return torch.atan2(v, torch.where((u == 0) & (v == 0), 1.0, u))
