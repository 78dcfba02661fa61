"""The affine map of the line, brought to the circle by a projection."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import bounded
from pushforward.scalar.circles.base import CircleMap

MAX_LOG_SCALE = 3.0
"""Bound on the logarithm of the line's scale."""

MAX_SHIFT = 6.0
"""Bound on the line's shift, in units of the root of its scale."""

SPREAD = 0.5
"""How far apart the shifts of several copies lie at zeros, at most."""


class NonCompactProjection(CircleMap):
    r"""The circle without 0 projected on the line, scaled and shifted there, and projected back (Rezende et al. 2020,
    Normalizing Flows on Tori and Spheres, arXiv:2002.02428).

    ``z = 2 atan(a tan(x / 2 - pi / 2) + b) + pi`` on ``(0, 2 pi)``, with ``0`` kept, where ``dz/dx = 1 / a``;

    ``dz/dx = 1 / (a cos^2(x / 2) + (1 + b^2) / a sin^2(x / 2) - b sin x)``.

    It is written without the tangent, as ``z = x + 2 atan2((1 - a) sin x + b (1 - cos x), a (1 + cos x) - b sin x +
    1 - cos x)``, which is smooth at 0 and all round. The inverse is the projection with ``1 / a`` and ``-b / a``. These
    are the Moebius maps by other coordinates, of which convex combinations learn differently.

    Parameters per element, 2: ``log a`` and ``b / sqrt(a)``, both bounded.

    Example:
        >>> projection = NonCompactProjection()
        >>> z, log_dz = projection.forward(torch.tensor([0.0, 2.0]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        >>> z, log_dz.round(decimals=2) + 0.0
        (tensor([0., 2.]), tensor([-0.9500,  0.0000]))
    """

    num_parameters = 2
    keeps_zero = True

    def lift(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return _projection(x, *_constrain(parameters))

    def lift_value(self, x: Tensor, parameters: Tensor) -> Tensor:
        log_scale, shift = _constrain(parameters)
        y, z = _arguments(x, torch.exp(log_scale), shift)
        return x + 2.0 * torch.atan2(y, z)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = _constrain(parameters)
        x, log_dx = _projection(z, -log_scale, -shift * torch.exp(-log_scale))
        return self.domain.wrap(x), log_dx

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        log_scale, shift = _constrain(parameters)
        y, x = _arguments(z, torch.exp(-log_scale), -shift * torch.exp(-log_scale))
        return self.domain.wrap(z + 2.0 * torch.atan2(y, x))

    def spread(self, copies: int) -> Tensor:
        # Shifts on both sides, whose effects cancel in the mean to first order.
        shifts = torch.linspace(-SPREAD, SPREAD, copies) if copies > 1 else torch.zeros(1)
        return torch.stack([torch.zeros(copies), shifts], -1)


def _constrain(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """``log a`` and ``b``."""
    raw_scale, raw_shift = parameters.unbind(-1)
    log_scale = bounded(raw_scale, MAX_LOG_SCALE)
    return log_scale, bounded(raw_shift, MAX_SHIFT) * torch.exp(0.5 * log_scale)


def _projection(x: Tensor, log_scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    y, z = _arguments(x, torch.exp(log_scale), shift)
    # Half of the angle, so that no square is taken of a sum in which much cancels.
    cos, sin = torch.cos(0.5 * x), torch.sin(0.5 * x)
    length = (torch.exp(log_scale) * cos - shift * sin).square() + sin.square()
    return x + 2.0 * torch.atan2(y, z), log_scale - torch.log(length)


def _arguments(x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """What the half of ``lift(x) - x`` is the angle of; functions of the point on the circle, not of the turn."""
    sin, cos = torch.sin(x), torch.cos(x)
    rest = 1.0 - cos
    return (1.0 - scale) * sin + shift * rest, scale * (1.0 + cos) - shift * sin + rest
