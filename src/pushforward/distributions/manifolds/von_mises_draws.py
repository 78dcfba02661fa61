"""Von Mises numbers, by rejection, with gradients to the concentration."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.kernels.iteration import derivatives_wanted
from pushforward.numerics import uniform_noise

NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
"""Of the quadrature on (-1, 1) of derivatives of the distribution function."""

REACH = 13.0
"""So many times ``1 / sqrt(kappa)`` from the mean direction the density is below 1e-16 of what it is there."""


def draw_von_mises(concentration: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw an angle from the mean direction for each concentration, which may be 0; with first derivatives.

    Example:
        >>> angles = draw_von_mises(torch.tensor([0.0, 1e6]), torch.Generator().manual_seed(0))
        >>> angles.abs() < torch.tensor([3.15, 0.01])
        tensor([True, True])
    """
    with torch.no_grad():
        angle = _rejection(concentration.detach().reshape(-1), generator).reshape(concentration.shape)
    if not (derivatives_wanted() and concentration.requires_grad):
        return angle
    slope = angle_by_concentration(angle, concentration.detach())
    # The value of the angle, with its derivative.
    return angle + slope * (concentration - concentration.detach())


def _rejection(concentration: Tensor, generator: torch.Generator | None) -> Tensor:
    r"""Proposals from a wrapped Cauchy distribution, accepted with the chance ``c exp(1 - c)`` (Best, Fisher 1979).

    With ``root = sqrt(1 + 4 kappa^2)`` the best proposal is ``theta = 2 atan(m tan(pi u / 2))``, ``u`` uniform on
    (-1, 1), and ``c = (1 + root) / 2 - kappa cos theta``. Written by ``root - 2 kappa = 1 / (root + 2 kappa)`` nothing
    cancels, and at 0 every proposal is accepted.
    """
    angles = torch.zeros_like(concentration)
    waiting = torch.arange(len(concentration), device=concentration.device)
    while len(waiting):
        kappa = concentration[waiting]
        root = torch.sqrt(1.0 + 4.0 * kappa.square())
        least = 0.5 + 0.5 / (root + 2.0 * kappa)
        spread = torch.sqrt(least / (0.5 + 0.5 * root + kappa))
        place, chance = uniform_noise(kappa, (2, len(kappa)), generator)
        proposed = 2.0 * torch.atan(spread * torch.tan(math.pi * (place - 0.5)))
        c = least + 2.0 * kappa * torch.sin(0.5 * proposed).square()
        accepted = torch.log(chance) <= torch.log(c) + 1.0 - c
        angles[waiting[accepted]] = proposed[accepted]
        waiting = waiting[~accepted]
    return angles


def angle_by_concentration(angle: Tensor, concentration: Tensor) -> Tensor:
    r"""The derivative of an angle of a fixed level of the distribution function, ``-(dF / dkappa) / p``.

    ``dF / dkappa = int_0^x p(t) (cos t - A) dt``, ``A = I_1 / I_0``; over the whole half circle that is zero. So the
    integral is taken from 0 to the angle where ``cos`` is above ``A``, and beyond the angle where it is below: what is
    integrated has one sign in either, and nothing cancels.
    """
    # In double precision: 1 - A is 1 / (2 kappa) where kappa is large.
    kappa, size = concentration.double(), angle.double().abs()
    ratio = torch.special.i1e(kappa) / torch.special.i0e(kappa)
    inner = torch.cos(size) >= ratio
    reach = torch.minimum(REACH * torch.rsqrt(kappa.clamp_min(1e-6)), torch.full_like(kappa, math.pi))
    low = torch.where(inner, 0.0, size)
    high = torch.where(inner, size, (size + reach).clamp(max=math.pi))
    nodes, weights = (torch.from_numpy(each).to(kappa.device) for each in (NODES, WEIGHTS))
    at = low[..., None] + (high - low)[..., None] * (0.5 + 0.5 * nodes)
    # p(t) / p(x), with cos t - cos x as a product.
    rise = 2.0 * torch.sin(0.5 * (size[..., None] + at)) * torch.sin(0.5 * (size[..., None] - at))
    integrand = torch.exp(kappa[..., None] * rise) * (torch.cos(at) - ratio[..., None])
    integral = 0.5 * (high - low) * (weights * integrand).sum(-1)
    return (torch.where(inner, -integral, integral) * torch.sign(angle)).to(angle.dtype)
