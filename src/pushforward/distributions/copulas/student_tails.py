r"""The tails of Student's t in log space: ``E = -log P(|T| > q)`` and its inverse.

With ``q = sqrt(nu) sinh(s)``, ``P(|T| > q)`` is the regularised incomplete beta function ``I_x(nu / 2, 1 / 2)`` at ``x
= 1 / cosh^2 s``, and ``E`` is about ``nu s`` far out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.numerics import magnitude
from pushforward.scalar.root import solve

TERMS = 40
"""Of the continued fraction, which for up to 100 degrees of freedom has converged then."""

LEAST = 1e-15
"""Added to what may be 0, where the logarithm of its hyperbolic tangent has no slope."""


def student_excess(s: Tensor, degrees: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``E`` at ``s >= 0`` and ``log dE/ds``.

    Source: Press et al. (1992), Numerical Recipes, section 6.4.

    Example:
        >>> excess, _ = student_excess(torch.asinh(torch.tensor(1.0)), torch.tensor(1.0))
        >>> round(excess.neg().exp().item(), 4)  # half of Cauchy's mass lies within 1
        0.5
    """
    a = 0.5 * degrees
    s = s + LEAST
    log_x, log_rest = -2.0 * log_cosh(s), 2.0 * torch.log(torch.tanh(s))
    log_beta = torch.lgamma(a) + 0.5 * math.log(math.pi) - torch.lgamma(a + 0.5)
    log_power = a * log_x + 0.5 * log_rest - log_beta
    # Of I_x(a, 1/2) = 1 - I_{1 - x}(1/2, a) the one whose fraction converges.
    half, far = torch.full_like(a, 0.5), log_x < torch.log((a + 1.0) / (a + 2.5))
    first, second = torch.where(far, a, half), torch.where(far, half, a)
    part = torch.where(far, torch.exp(log_x), -torch.expm1(log_x))
    log_beta_ratio = log_power - torch.log(first) + _log_fraction(first, second, part)
    inside = torch.exp(torch.where(far, -1.0, log_beta_ratio))
    excess = torch.where(far, -log_beta_ratio, -torch.log1p(-inside))
    # The density of |T| over s is 2 cosh(s)^-nu / B.
    return excess, math.log(2.0) + a * log_x - log_beta + excess


def student_of_excess(excess: Tensor, degrees: Tensor) -> Tensor:
    """Return the ``s >= 0`` whose excess it is, differentiable in both.

    Example:
        >>> s = student_of_excess(torch.tensor(0.5).log().neg(), torch.tensor(1.0))
        >>> round(s.sinh().item(), 4)
        1.0
    """

    def odd(s: Tensor) -> tuple[Tensor, Tensor]:
        value, log_slope = student_excess(magnitude(s), degrees)
        return torch.where(s < 0, -value, value), log_slope

    highest = excess / degrees + math.log(2.0)
    return solve(odd, excess, torch.zeros_like(highest), highest.detach())


def log_cosh(s: Tensor) -> Tensor:
    """``log cosh s`` for ``s >= 0``, however large."""
    return s + torch.log1p(torch.exp(-2.0 * s)) - math.log(2.0)


def _log_fraction(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """The logarithm of the continued fraction of ``I_x(a, b)``, by Lentz's method."""
    c = torch.ones_like(x * a)
    d = 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    total = torch.log(d)
    for m in range(1, TERMS + 1):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d, c = 1.0 / (1.0 + even * d), 1.0 + even / c
        total = total + torch.log(d * c)
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d, c = 1.0 / (1.0 + odd * d), 1.0 + odd / c
        total = total + torch.log(d * c)
    return total
