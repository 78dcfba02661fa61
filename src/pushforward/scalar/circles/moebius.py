"""Moebius maps of the circle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.numerics import bounded
from pushforward.scalar.circles.base import CircleMap

MAX_RADIUS = 0.99
"""Bound on the length of ``w``: the derivative lies between 1/199 and 199."""

FARTHEST = 1e4
"""Beyond it a raw number changes the point of the disk by less than 1e-8."""

SPREAD_RADIUS = 0.3
"""How far from the centre the points of several copies lie at zeros."""


class Moebius(CircleMap):
    r"""A Moebius map of the circle, turned so that 0 stays 0 (Rezende et al. 2020, Normalizing Flows on Tori and
    Spheres, arXiv:2002.02428).

    For a point ``w`` inside the unit disk, ``e^ix -> (1 - |w|^2) / |e^ix - w|^2 (e^ix - w) - w`` draws the circle away
    from ``w / |w|``; of the angle, with ``w = p + i q``,

    ``z = x + g(x) - g(0)``, ``g(x) = 2 atan2(p sin x - q cos x, 1 - p cos x - q sin x)``,
    ``dz/dx = (1 - |w|^2) / |e^ix - w|^2``.

    The second argument is positive inside the disk, so that no angle jumps: the lift is smooth all along the line. The
    inverse is the map of ``-w`` of the angle ``z + g(0)``. All densities that the map makes of the uniform one are
    wrapped Cauchy densities; convex combinations make more (:class:`ConvexCombination`).

    Parameters per element, 2: a point of the plane, which is drawn into the disk, ``w = 0.99 v / sqrt(1 + |v|^2)``.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 2``.

    Example:
        >>> moebius = Moebius()
        >>> z, log_dz = moebius.forward(torch.tensor([0.0, 1.0]), torch.tensor([[0.5, -1.0], [0.0, 0.0]]))
        >>> z, log_dz[1].exp().item()
        (tensor([0., 1.]), 1.0)
    """

    num_parameters = 2
    keeps_zero = True

    def lift(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        p, q, log_room = _disk(parameters)
        across, along = _turned(x, p, q)
        return x + _angle(across, 1.0 - along) - _angle(-q, 1.0 - p), log_room - _log_square(across, 1.0 - along)

    def lift_value(self, x: Tensor, parameters: Tensor) -> Tensor:
        p, q, _ = _disk(parameters)
        across, along = _turned(x, p, q)
        return x + _angle(across, 1.0 - along) - _angle(-q, 1.0 - p)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        p, q, log_room = _disk(parameters)
        turned = z + _angle(-q, 1.0 - p)
        across, along = _turned(turned, p, q)
        x = self.domain.wrap(turned - _angle(across, 1.0 + along))
        return x, log_room - _log_square(across, 1.0 + along)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        p, q, _ = _disk(parameters)
        turned = z + _angle(-q, 1.0 - p)
        across, along = _turned(turned, p, q)
        return self.domain.wrap(turned - _angle(across, 1.0 + along))

    def spread(self, copies: int) -> Tensor:
        # On a ring: of the mean of such maps all Fourier coefficients vanish but every copies-th, which are tiny.
        if copies == 1:
            return super().spread(copies)
        around = torch.arange(copies) * (2.0 * math.pi / copies)
        length = SPREAD_RADIUS / math.sqrt(MAX_RADIUS**2 - SPREAD_RADIUS**2)
        return length * torch.stack([torch.cos(around), torch.sin(around)], -1)


def _disk(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The point of the disk and ``log(1 - |w|^2)``."""
    first, second = bounded(parameters, FARTHEST).unbind(-1)
    square = first.square() + second.square()
    scale = MAX_RADIUS * torch.rsqrt(1.0 + square)
    log_room = torch.log1p((1.0 - MAX_RADIUS**2) * square) - torch.log1p(square)
    return scale * first, scale * second, log_room


def _turned(x: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """``|w|`` times the sine and the cosine of the angle from ``w`` to ``x``."""
    cos, sin = torch.cos(x), torch.sin(x)
    return sin * p - cos * q, cos * p + sin * q


def _angle(y: Tensor, x: Tensor) -> Tensor:
    return 2.0 * torch.atan2(y, x)


def _log_square(y: Tensor, x: Tensor) -> Tensor:
    return torch.log(y.square() + x.square())
