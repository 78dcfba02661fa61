"""Quadrature on spheres."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.manifolds.axial import log_surface

COUNTS = {1: (1500, 6000, 24000), 2: (32, 64, 128, 256), 3: (2**13, 2**15, 2**17)}
"""By the dimension of a sphere, how many heights points have, coarse to fine; of three how many points there are."""


def points_on_sphere(n: int, count: int) -> tuple[Tensor, Tensor]:
    r"""Return points of ``S^n`` and weights that add up to its surface: ``count`` heights of Gauss and Gegenbauer, on
    each the points of the sphere below, down to a circle's ``2 count`` points. Polynomials of degree ``2 count - 1``
    are integrated exactly.

    Example:
        >>> points, weights = points_on_sphere(2, 8)
        >>> points.shape, round((weights @ points[:, 2].square()).item() / math.pi, 6)
        (torch.Size([128, 3]), 1.333333)
    """
    if n == 1:
        angles = (torch.arange(2 * count, dtype=torch.float64) + 0.5) * (math.pi / count)
        return torch.stack([torch.cos(angles), torch.sin(angles)], -1), torch.full_like(angles, math.pi / count)
    below, below_weights = points_on_sphere(n - 1, count)
    heights, weights = _heights(n, count)
    radii = torch.sqrt(1.0 - heights.square())
    across = radii[:, None, None] * below
    points = torch.cat([across, heights[:, None, None].expand(*across.shape[:-1], 1)], -1)
    return points.flatten(0, 1), (weights[:, None] * below_weights).flatten()


def scattered_on_sphere(n: int, count: int) -> tuple[Tensor, Tensor]:
    """Return points of ``S^n`` by a Sobol sequence of angles, and their weights: no two are of one height, so that
    splines of the heights are seen finely where a grid would need too many points.

    Example:
        >>> points, weights = scattered_on_sphere(3, 4096)
        >>> round(weights.sum().item() / math.pi**2, 2)
        2.0
    """
    shares = torch.quasirandom.SobolEngine(n, scramble=True, seed=0).draw(count, dtype=torch.float64)
    angle = 2 * math.pi * shares[:, 0]
    points = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
    weights = torch.full_like(angle, 2 * math.pi / count)
    for k in range(2, n + 1):
        fall = math.pi * shares[:, k - 1 : k]
        points = torch.cat([torch.sin(fall) * points, torch.cos(fall)], -1)
        weights = weights * math.pi * torch.sin(fall[:, 0]) ** (k - 1)
    return points, weights


def sphere_masses(distribution: Distribution, context: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """Return points of the sphere that a distribution is on and the masses around them."""
    n = distribution.support.dimensions
    points, weights = points_on_sphere(n, count) if n < 3 else scattered_on_sphere(n, count)
    with torch.no_grad():
        return points, weights * distribution.log_prob(points, context).exp()


def _heights(n: int, count: int) -> tuple[Tensor, Tensor]:
    """The nodes and weights of Gauss for ``(1 - h^2)^((n - 2) / 2)``, by the eigenvalues of Golub and Welsch (1969)."""
    half, k = 0.5 * (n - 1), torch.arange(1, count, dtype=torch.float64)
    beside = 0.5 * torch.sqrt(k * (k + 2 * half - 1) / ((k + half) * (k + half - 1)))
    nodes, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return nodes, math.exp(log_surface(n) - log_surface(n - 1)) * vectors[0].square()
