"""Geodesics of the unit sphere: great circles, followed and found.

Vectors ``(..., n + 1)`` throughout: a point has length 1, a tangent vector at it is orthogonal to it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

SMALL = 1e-2
"""Squared angles below which a series takes the place of a quotient that cancels."""


def exponential(x: Tensor, v: Tensor) -> Tensor:
    r"""Return ``exp_x(v) = cos|v| x + (sin|v| / |v|) v``: where the great circle from ``x`` along ``v`` is after
    ``|v|``.

    Example:
        >>> exponential(torch.tensor([1.0, 0.0]), torch.tensor([0.0, torch.pi / 2])).round(decimals=4) + 0.0
        tensor([0., 1.])
    """
    turned = turn(v.square().sum(-1, keepdim=True))
    return turned.cosine * x + turned.sine * v


def logarithm(x: Tensor, y: Tensor) -> Tensor:
    r"""Return ``log_x(y)``, the tangent vector at ``x`` with ``exp_x(log_x(y)) = y`` of length ``distance(x, y)``; one
    of all those of length pi where ``y`` is ``x``'s antipode, to which every direction leads.

    Example:
        >>> logarithm(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).round(decimals=4)
        tensor([0.0000, 1.5708])
    """
    cosine, eps = (x * y).sum(-1, keepdim=True), torch.finfo(x.dtype).eps
    # The difference from x or its antipode is orthogonal to x to first order, so that what is near loses no digits.
    across = tangent(x, y - torch.where(cosine > 0, x, -x))
    antipodal = (across.square().sum(-1, keepdim=True) < eps**2) & (cosine < 0)
    across = torch.where(antipodal, eps * _some_tangent(x), across)
    return across * _angle_ratio(across.square().sum(-1, keepdim=True), cosine)


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Return the angle between points, to all digits of small ones and of those near pi.

    Example:
        >>> x, y = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1e-6])
        >>> round(distance(x, y).item() * 1e6, 4)
        1.0
    """
    return 2.0 * torch.atan2(torch.linalg.vector_norm(x - y, dim=-1), torch.linalg.vector_norm(x + y, dim=-1))


def tangent(x: Tensor, vector: Tensor) -> Tensor:
    """Return the part of a vector that is tangent to the sphere at ``x``, of length 1.

    Example:
        >>> tangent(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 2.0]))
        tensor([0., 2.])
    """
    return vector - (x * vector).sum(-1, keepdim=True) * x


def projection(x: Tensor) -> Tensor:
    """Return the projection to the tangent space at ``x``, ``(..., n + 1, n + 1)``.

    Example:
        >>> projection(torch.tensor([1.0, 0.0]))
        tensor([[0., 0.],
                [0., 1.]])
    """
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    return identity - x[..., :, None] * x[..., None, :]


class Turn(NamedTuple):
    r"""What becomes of an angle ``t``, smooth in ``t^2``.

    Attributes:
        cosine: ``cos t``.
        sine: ``sin t / t``.
        versine: ``(1 - cos t) / t^2``.
        lag: ``(1 - sin t / t) / t^2``.
    """

    cosine: Tensor
    sine: Tensor
    versine: Tensor
    lag: Tensor


def turn(squared: Tensor) -> Turn:
    r"""Return the functions of an angle that its square ``t^2`` decides.

    Example:
        >>> [round(each.item(), 4) for each in turn(torch.tensor(0.0))]
        [1.0, 1.0, 0.5, 0.1667]
    """
    small = squared < SMALL
    far = torch.where(small, 1.0, squared)
    angle = torch.sqrt(far)
    cosine, sine = torch.cos(angle), torch.sin(angle) / angle
    near = torch.where(small, squared, 0.0)
    versine = torch.where(
        small, _horner(near, (1 / 2, -1 / 24, 1 / 720, -1 / 40320, 1 / 3628800)), (1.0 - cosine) / far
    )
    lag = torch.where(small, _horner(near, (1 / 6, -1 / 120, 1 / 5040, -1 / 362880, 1 / 39916800)), (1.0 - sine) / far)
    return Turn(
        torch.where(small, 1.0 - near * versine, cosine), torch.where(small, 1.0 - near * lag, sine), versine, lag
    )


def _some_tangent(x: Tensor) -> Tensor:
    """A tangent vector of length 1: that along the axis to which the point is least near."""
    axis = torch.zeros_like(x).scatter(-1, x.abs().argmin(-1, keepdim=True), 1.0)
    vector = tangent(x, axis)
    return vector / torch.linalg.vector_norm(vector, dim=-1, keepdim=True)


def _angle_ratio(sine_squared: Tensor, cosine: Tensor) -> Tensor:
    """``t / sin t`` of ``sin^2 t`` and ``cos t``."""
    small = (sine_squared < 1e-4) & (cosine > 0)
    # At the antipode, where the ratio is infinite, it is that of an angle that rounding tells from pi.
    floor = torch.finfo(cosine.dtype).eps ** 2
    sine = torch.sqrt(torch.where(small, 1.0, sine_squared).clamp_min(floor))
    near = _horner(torch.where(small, sine_squared, 0.0), (1.0, 1 / 6, 3 / 40, 15 / 336, 105 / 3456))
    return torch.where(small, near, torch.atan2(sine, torch.where(small, 0.0, cosine)) / sine)


def _horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """The polynomial ``c_0 + c_1 x + c_2 x^2 + ...``."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
