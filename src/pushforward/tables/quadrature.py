"""Points at which integrals over cells of noise and over normal latents are taken."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from pushforward.errors import UsageError
from pushforward.tables.columns import Array

LINE_POINTS = 65
CUBE_POINTS = 256


def cell_points(count: int, dimensions: int) -> Array:
    """Points ``(count, dimensions)`` spread evenly over the unit cube: midpoints on a line, scrambled Sobol points.

    Raises:
        UsageError: unless the count is a power of two.
    """
    if count < 1 or count & (count - 1):
        raise UsageError(f"quadrature expects a power of two, got {count}")
    if dimensions == 0:
        return np.zeros((1, 0))
    if dimensions == 1:
        return ((np.arange(count) + 0.5) / count)[:, None]
    return inner(qmc.Sobol(dimensions, rng=0).random(count))


def mean_points(dimensions: int) -> tuple[Array, Array]:
    """Latents ``(points, dimensions)`` and weights whose weighted mean is an expectation under the standard normal."""
    if dimensions == 0:
        return np.zeros((1, 0)), np.ones(1)
    if dimensions == 1:
        # The trapezoid rule converges fast for what falls off at both ends, and holds for kinks too.
        line = np.linspace(-6.0, 6.0, LINE_POINTS)
        weights = np.exp(-0.5 * line**2)
        return line[:, None], weights / weights.sum()
    return ndtri(inner(qmc.Sobol(dimensions, rng=0).random(CUBE_POINTS))), np.full(CUBE_POINTS, 1.0 / CUBE_POINTS)


def inner(noise: Array) -> Array:
    """Numbers of the unit interval, kept from its ends."""
    return np.clip(noise, 1e-6, 1 - 1e-6)
