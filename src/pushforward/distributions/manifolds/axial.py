"""Integrals over spheres of functions that depend on the angle to an axis alone, or nearly so."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

REACH, STEP = 3.6, 0.032
"""How far out the double-exponential rule goes, to 1e-25 of the axis from its ends, and in what steps at most."""


def log_surface(n: int) -> float:
    r"""Return the logarithm of the surface of ``S^n``, ``2 pi^((n + 1) / 2) / Gamma((n + 1) / 2)``.

    Example:
        >>> round(math.exp(log_surface(2)) / math.pi, 6)
        4.0
    """
    return math.log(2.0) + 0.5 * (n + 1) * math.log(math.pi) - math.lgamma(0.5 * (n + 1))


def log_integral(n: int, log_function: Callable[[Tensor, Tensor], Tensor], like: Tensor) -> Tensor:
    r"""Return ``log int f dS`` over ``S^n`` of a function of the height ``h``, differentiable by all that it depends
    on:

    .. math:: \lvert S^{n-1} \rvert \int_{-1}^1 f(h) (1 - h^2)^{(n - 2) / 2} dh,

    by the double-exponential rule ``h = tanh(pi / 2 sinh u)`` (Takahasi, Mori 1974). Its points crowd at both ends,
    where the functions of directional statistics have their peaks however concentrated they are; on spheres of more
    dimensions peaks are narrower, as ``1 / sqrt(n)``, and so are the steps.

    Args:
        n: the dimension of the sphere.
        log_function: ``log f`` of the distances ``1 - h`` and ``1 + h`` from the two poles, both to all their digits;
            gives ``(..., points)``.
        like: a tensor of the type and device to compute in.

    Example:
        >>> total = log_integral(2, lambda below, above: torch.zeros_like(below), torch.zeros(()))
        >>> bool((total - log_surface(2)).abs() < 1e-5)
        True
    """
    step = STEP * min(1.0, 2.0 / math.sqrt(n))
    u = torch.arange(-REACH, REACH + 0.5 * step, step, dtype=torch.float64, device=like.device)
    stretched = math.pi * torch.sinh(u)
    below, above = 2.0 * torch.sigmoid(-stretched), 2.0 * torch.sigmoid(stretched)
    log_weight = 0.5 * n * (below.log() + above.log()) + torch.log(0.5 * math.pi * step * torch.cosh(u))
    log_weight = (log_weight + log_surface(n - 1)).to(like.dtype)
    return torch.logsumexp(log_weight + log_function(below.to(like.dtype), above.to(like.dtype)), -1)
