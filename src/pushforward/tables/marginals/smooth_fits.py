"""The continuous distribution of a sample: knots at its quantiles, more of them the more rows there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from pushforward.tables.columns import Array, log_normal
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.marginals.smooth import Smooth
from pushforward.tables.marginals.tail_fits import beyond, fit_edge, fit_open_tail
from pushforward.tables.marginals.tails import LinearEdge, OpenTail, Tail

GROWTH = 0.35
"""A sample of n rows has about n^0.35 knots, and a share of n^-0.35 in each open tail."""
EDGE_GROWTH = 0.17
MOST_TAIL, MOST_EDGE = 0.25, 0.35
FEWEST_ROWS = 8
SHRINKAGE = 10.0
"""The number of rows for which a normal distribution counts among the quantiles."""
QUARTILE = 0.6744897501960817
NORMAL_SCALE, NORMAL_INDEX = 0.583, -0.46
"""A normal tail beyond its quartile: its scale in units of the interquartile range, and its index."""


def fit_smooth(sample: Sample, low: float = -np.inf, high: float = np.inf) -> Smooth:
    """Estimate a distribution on ``[low, high]``.

    The error is about ``knots / (2 rows)`` nats for the spline and as much for each parameter of a tail; what few
    rows say is shrunk towards a normal distribution.
    """
    inside = sample.kept((sample.values > low) & (sample.values < high))
    if len(inside.values) < FEWEST_ROWS:
        return nearly_normal(inside, low, high)
    inside = shrunk(inside, low, high)
    lower, upper = fit_tail(mirrored(inside), -low), fit_tail(inside, high)
    if not -lower.start < upper.start:
        return nearly_normal(inside, low, high)
    ends = ndtri(lower.mass), -ndtri(upper.mass)
    levels = ndtr(np.linspace(*ends, max(3, round(inside.count**GROWTH)))[1:-1])
    chosen = _nearest(inside.ranks, levels)
    chosen = chosen[(inside.values[chosen] > -lower.start) & (inside.values[chosen] < upper.start)]
    knots = np.concatenate([[-lower.start], inside.values[chosen], [upper.start]])
    scores = np.concatenate([[ends[0]], ndtri(inside.ranks[chosen]), [ends[1]]])
    return Smooth(knots, scores, inner_slopes(knots, scores), lower, upper)


def shrunk(sample: Sample, low: float, high: float) -> Sample:
    """Move values towards the normal distribution of their quartiles, as far as they are few."""
    lower, middle, upper = (sample.quantile(level) for level in (0.25, 0.5, 0.75))
    normal = middle + (upper - lower) / (2.0 * QUARTILE) * ndtri(sample.ranks)
    share = SHRINKAGE / (SHRINKAGE + sample.count)
    values = sample.values + share * (normal - sample.values)
    possible = low < values[0] and values[-1] < high and bool((np.diff(values) > 0).all())
    return Sample(values, sample.rows) if possible else sample


def mirrored(sample: Sample) -> Sample:
    """The sample of the negative values."""
    return Sample(-sample.values[::-1], sample.rows[::-1])


def inner_slopes(knots: Array, scores: Array) -> Array:
    """The slopes at the inner knots: the secants' geometric mean, the nearer one counting more."""
    widths = np.diff(knots)
    logs = np.log(np.diff(scores)) - np.log(widths)
    left, right = widths[:-1], widths[1:]
    return np.asarray(np.exp((right * logs[:-1] + left * logs[1:]) / (left + right)))


def nearly_normal(sample: Sample, low: float, high: float) -> Smooth:
    """The distribution of so few values that only their mean and spread can be known, within the bounds."""
    center, spread = 0.0, 1.0
    if len(sample.values):
        center = float(np.average(sample.values, weights=sample.rows))
        spread = float(np.sqrt(np.average((sample.values - center) ** 2, weights=sample.rows)))
    spread = spread if spread > 1e-12 * abs(center) else max(abs(center), 1.0)
    knots = center + spread * QUARTILE * np.array([-1.0, 0.0, 1.0])
    if np.isfinite(low) and np.isfinite(high):
        knots = low + (high - low) * np.array([0.25, 0.5, 0.75])
    elif np.isfinite(low) or np.isfinite(high):
        reach = abs(center - (low if np.isfinite(low) else high)) or spread
        knots = (
            low + reach * np.array([0.5, 1.0, 1.5]) if np.isfinite(low) else high - reach * np.array([1.5, 1.0, 0.5])
        )
    scores = QUARTILE * np.array([-1.0, 0.0, 1.0])
    rows = max(sample.count, 1.0)
    tails: list[Tail] = [
        LinearEdge(float(start), 0.25, bound, 0.0)
        if np.isfinite(bound)
        else OpenTail(float(start), 0.25, float(knots[2] - knots[0]) * NORMAL_SCALE, NORMAL_INDEX, min(0.1 / rows, 0.2))
        for start, bound in ((-knots[0], -low), (knots[2], high))
    ]
    return Smooth(knots, scores, inner_slopes(knots, scores), *tails)


def fit_tail(sample: Sample, bound: float) -> Tail:
    """The upper tail of a sample, open where the bound is infinite."""
    share = min(sample.count**-GROWTH, MOST_TAIL)
    if np.isfinite(bound):
        return fit_edge(sample, bound, share, min(sample.count**-EDGE_GROWTH, MOST_EDGE))
    rows, start, mass = beyond(sample, share)
    _, before, more = beyond(sample, min(2.0 * mass, 0.5))
    slope = (-ndtri(mass) + ndtri(more)) / (start - before) if start > before else 1.0
    scale = mass / float(np.exp(log_normal(ndtri(mass)))) / slope
    return fit_open_tail(rows, start, mass, scale, sample.count)


def _nearest(ranks: Array, levels: Array) -> NDArray[np.int64]:
    """The distinct indices of the ranks that are nearest to levels."""
    right = np.clip(np.searchsorted(ranks, levels), 1, len(ranks) - 1)
    return np.unique(np.where(levels - ranks[right - 1] < ranks[right] - levels, right - 1, right))
