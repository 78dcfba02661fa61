"""The tail transform: from heavy tails onto a normal's, by extreme-value theory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.numerics import bounded, magnitude
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.normal_tails import log_mills, normal_excess, normal_of_excess

START_SHAPE = 0.1
"""Where the shape of a tail starts; its index is 10 there."""

MAX_LOG_SHAPE = 4.0
"""Shapes lie within ``0.1 exp(+-4)``, so indices between 0.18 and 546."""

MAX_LOG_SCALE = 7.0

EXPONENTIAL = 1e-6
"""Below this shape a tail is exponential to all digits."""


class TailTransform(ScalarBijection):
    r"""A map whose inverse makes of a normal's tails those of generalised Pareto distributions:

    .. math:: P(|Z| > |z|) = (1 + \lambda_\pm |y|)^{-1 / \lambda_\pm}, \quad y = (x - \mu) e^{-s},

    with the sign of ``z`` that of ``y`` and a shape ``lambda`` for each side. If the latent is standard normal, or as a
    standard normal beyond some point, ``P(X > x)`` falls as ``x^(-1 / lambda_+)``: the tail index is ``1 / lambda``.
    All is computed with logarithms of probabilities, so that one of ``1e-30`` is as good as one of a half.

    Parameters per element, in this order: the location ``mu``, the log-scale, bounded to +-7, and raw shapes of the
    lower and the upper tail, bounded to ``0.1 exp(+-4)``. At zeros the slope at 0 is 1, and both indices are 10.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)``.

    Source: Hickling, Prangle (2024), Flexible tails for normalizing flows, arXiv:2311.00580; Pickands (1975), Annals of
    Statistics 3.

    Example:
        >>> x = torch.tensor([-1e30, 0.0, 3.0])
        >>> z, log_dz = TailTransform().forward(x, torch.zeros(3, 4))
        >>> z.round(decimals=2)
        tensor([-36.3800,   0.0000,   1.5700])
    """

    num_parameters = 4

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        location, scale, lower, upper = _read(parameters)
        y = x - location
        return to_normal(y, torch.where(y < 0, lower, upper), scale)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        location, scale, lower, upper = _read(parameters)
        y, log_dy = from_normal(z, torch.where(z < 0, lower, upper), scale)
        return y + location, log_dy


def to_normal(y: Tensor, shape: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return ``z`` with ``P(|Z| > |z|) = (1 + shape |y| / scale)^(-1 / shape)``, ``exp(-|y| / scale)`` at shape 0, and
    ``log dz/dy``.

    Example:
        >>> z, _ = to_normal(torch.tensor(9.0), torch.tensor(1.0), torch.tensor(1.0))
        >>> round(z.item(), 4)  # a tenth lies further out
        1.6449
    """
    size = (magnitude(y) / scale).clamp(max=0.1 * torch.finfo(y.dtype).max)
    grown = torch.log1p(shape * size)
    pareto = torch.where(shape > EXPONENTIAL, shape, 1.0)
    size_of_z = normal_of_excess(torch.where(shape > EXPONENTIAL, torch.log1p(pareto * size) / pareto, size))
    log_slope = log_mills(size_of_z) - grown - torch.log(scale)
    return torch.where(y < 0, -size_of_z, size_of_z), log_slope


def from_normal(z: Tensor, shape: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ``y`` of :func:`to_normal`'s ``z``, and ``log dy/dz``; what no number could hold is the largest one.

    Example:
        >>> y, _ = from_normal(torch.tensor(1.6449), torch.tensor(1.0), torch.tensor(1.0))
        >>> round(y.item(), 2)
        9.0
    """
    size_of_z = magnitude(z)
    excess = normal_excess(size_of_z)
    grown = shape * excess
    pareto = torch.where(shape > EXPONENTIAL, shape, 1.0)
    # The largest exponent of which the product with the scale is a number.
    most = math.log(torch.finfo(z.dtype).max) - MAX_LOG_SCALE - 5.0
    size = torch.where(shape > EXPONENTIAL, torch.expm1((pareto * excess).clamp(max=most)) / pareto, excess)
    y = torch.where(z < 0, -size, size) * scale
    return y, grown - log_mills(size_of_z) + torch.log(scale)


def _read(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The location, the scale, and the shapes of the lower and the upper tail."""
    location, raw_log_scale, lower, upper = parameters.unbind(-1)
    # Such that the slope at 0 is 1: the excess of a small z is z sqrt(2 / pi).
    scale = math.sqrt(math.pi / 2.0) * torch.exp(bounded(raw_log_scale, MAX_LOG_SCALE))
    shapes = (START_SHAPE * torch.exp(bounded(raw, MAX_LOG_SHAPE)) for raw in (lower, upper))
    return location, scale, *shapes  # type: ignore[return-value]
