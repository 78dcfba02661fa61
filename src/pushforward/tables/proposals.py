r"""Vectors of codes drawn near a table's distribution, each number of them fixed, within a cell, or free.

The normal distribution that :class:`Whitening` has of the codes, a Gaussian copula of the table, is drawn from one
number after the other, each between its ends given those before it, and the draws get weights that make them draws of
the flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import LOG_SQRT_TWO_PI, Array
from pushforward.tables.whitening import Whitening

Spreads = Sequence[tuple[float, float]]
AS_FITTED: Spreads = ((1.0, 1.0),)
"""Draws from the normal itself, for cells, within which no density changes much."""
PARTLY_WIDER: Spreads = ((1.0, 0.8), (2.0, 0.2))
"""A part of the draws spread wider, which keeps weights bounded where the flow is wider than the normal."""
NARROW = 1e-4
EDGE = 1e-9
LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Ends:
    """Between which ends each row's codes lie: one point where they are equal, a cell, or the line if infinite.

    Attributes:
        low, high: ``(n, D)``.
        log_du: ``(n,)``, the log-derivatives of the codes that are points, ``-inf`` outside the support.
    """

    low: Array
    high: Array
    log_du: Array

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Ends:
        return Ends(self.low[rows], self.high[rows], self.log_du[rows])


def ends_of(code: LatentCode, numbers: Array) -> Ends:
    """Find where in the codes' space rows lie.

    A cell so narrow that no density changes within it counts as a point with the cell's mass.
    """
    low, middle, high = (code.encode(numbers, np.full((len(numbers), code.noises), e)) for e in (EDGE, 0.5, 1 - EDGE))
    codes, log_du = middle
    wide = high[0] - low[0] > NARROW
    # Of a cell of mass p, u = Phi^-1(F + noise p) has log du/dnoise = log p - log phi(u), which the integral holds.
    masses = log_mass(np.where(wide, low[0], -1.0), np.where(wide, high[0], 1.0))
    log_du = log_du - np.where(wide, masses + 0.5 * codes**2 + LOG_SQRT_TWO_PI, 0.0).sum(1)
    return Ends(np.where(wide, low[0], codes), np.where(wide, high[0], codes), log_du)


def draw_between(
    whitening: Whitening, contexts: Array, low: Array, high: Array, points: Array, spreads: Spreads
) -> tuple[Array, Array]:
    r"""Draw codes ``(n, K, D)`` between their ends, and the logarithms of one over their densities ``(n, K)``.

    Points come first, then cells, then what is free, so that each is drawn given as much as is known (the simulator of
    Geweke, Hajivassiliou and Keane: Hajivassiliou, McFadden, Ruud 1996, Journal of Econometrics 72).

    Args:
        whitening: the normal: its center, given contexts, and its covariance.
        contexts: ``(n, C)``.
        low, high: the ends, ``(n, D)``.
        points: of the unit cube, ``(K, D + 1)`` for all rows or ``(n, K, D + 1)``; the first coordinate chooses the
            spread.
        spreads: how many times as wide as the normal, and the part of the draws.
    """
    order = np.argsort(ranks(low, high), axis=1, kind="stable")
    low, high = np.take_along_axis(low, order, 1), np.take_along_axis(high, order, 1)
    center = np.take_along_axis(expected(whitening, contexts), order, 1)
    factors = ordered_factors(whitening, order)
    points = np.broadcast_to(points, (len(low), *points.shape[-2:]))
    fixed = (low == high).sum(1)
    scales, shares = np.array(spreads).T
    scale = scales[np.minimum(np.searchsorted(np.cumsum(shares), points[..., 0]), len(scales) - 1)]
    codes = np.empty((len(low), points.shape[1], low.shape[1]))
    steps = np.empty_like(codes)
    log_densities = np.zeros((len(scales), *codes.shape[:2]))
    for index in range(low.shape[1]):
        spread = factors[:, index, index, None]
        mean = center[:, index, None] + np.einsum("nkj,nj->nk", steps[..., :index], factors[:, index, :index])
        from_low, from_high = (low[:, index, None] - mean) / spread, (high[:, index, None] - mean) / spread
        coordinate = np.maximum(index - fixed, 0)[:, None, None] + 1
        uniform = np.take_along_axis(points, np.broadcast_to(coordinate, (*points.shape[:2], 1)), 2)[..., 0]
        point = (low[:, index] == high[:, index])[:, None]
        step = np.where(point, from_low, scale * truncated_normal(from_low / scale, from_high / scale, uniform))
        steps[..., index] = step
        codes[..., index] = np.where(point, low[:, index, None], mean + spread * step)
        for which, each in enumerate(scales):
            density = -0.5 * (step / each) ** 2 - LOG_SQRT_TWO_PI - np.log(each * spread)
            density -= log_mass(*np.where(point, [[[-np.inf]], [[np.inf]]], np.stack([from_low, from_high]) / each))
            log_densities[which] += np.where(point, 0.0, density)
    log_density = np.logaddexp.reduce(log_densities + np.log(shares)[:, None, None], axis=0)
    back = np.argsort(order, axis=1)
    return np.take_along_axis(codes, back[:, None, :], 2), -log_density


def ranks(low: Array, high: Array) -> NDArray[np.int64]:
    """0 for points, 1 for what has two ends, 2 for what has one or none."""
    return np.where(low == high, 0, np.where(np.isfinite(low) & np.isfinite(high), 1, 2))


def expected(whitening: Whitening, contexts: Array) -> Array:
    """The center of the codes at each context, ``(n, D)``."""
    return whitening.center.numpy() + contexts @ whitening.slopes.numpy().T


def ordered_factors(whitening: Whitening, order: NDArray[np.int64]) -> Array:
    """For each order of the dimensions the lower triangular factor of their covariance, ``(n, D, D)``."""
    orders, which = np.unique(order, axis=0, return_inverse=True)
    root = np.linalg.inv(whitening.factor.numpy())
    # By QR and not by Cholesky, which columns that follow from each other would make fail.
    lower = np.swapaxes(np.linalg.qr(np.swapaxes(root[orders], 1, 2), mode="r"), 1, 2)
    diagonal = np.diagonal(lower, axis1=1, axis2=2)
    lower = lower * np.where(diagonal < 0, -1.0, 1.0)[:, None, :]
    index = np.arange(lower.shape[1])
    lower[:, index, index] = np.maximum(lower[:, index, index], LEAST_SPREAD)
    return lower[which.ravel()]


def truncated_normal(low: Array, high: Array, uniform: Array) -> Array:
    """The quantiles of a standard normal between ``low`` and ``high``, from the nearer end of the line."""
    upper = low > -high
    near, far = np.where(upper, -high, low), np.where(upper, -low, high)
    share = np.where(upper, 1.0 - uniform, uniform)
    below, above = ndtr(near), ndtr(far)
    found = ndtri(np.clip(below + share * (above - below), np.finfo(np.float64).tiny, 1.0 - EDGE))
    # Where the whole interval has no mass that a number can hold, any of its points does.
    found = np.clip(found, near, far)
    return np.where(upper, -found, found)


def log_mass(low: Array, high: Array) -> Array:
    """The logarithm of a standard normal's mass between ``low`` and ``high``, from the nearer end of the line."""
    upper = low > -high
    near, far = np.where(upper, -high, low), np.where(upper, -low, high)
    above = log_ndtr(far)
    return above + np.log(np.maximum(-np.expm1(log_ndtr(near) - above), np.finfo(np.float64).tiny))
