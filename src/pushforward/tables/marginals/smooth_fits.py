"""The continuous distribution of a sample: knots at its quantiles, as many as it needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from pushforward.tables.columns import Array, log_normal
from pushforward.tables.marginals.normal_fits import looks_normal, moments, normal
from pushforward.tables.marginals.samples import Sample, look_uniform
from pushforward.tables.marginals.smooth import Smooth
from pushforward.tables.marginals.tail_fits import RAREST, Exceedances, beyond, fit_edge, fit_open_tail
from pushforward.tables.marginals.tails import ExponentialEdge, OpenTail, Tail

GROWTH = 0.35
"""A sample of n rows has a share of n^-0.35 in each tail."""
MOST_TAIL = 0.25
EVIDENCE_SHARE = 2.0
FEWEST_KNOTS = 4
MOST_TESTED = 20_000
FEWEST_ROWS = 8
SHRINKAGE = 10.0
"""The number of rows for which a normal distribution counts among the quantiles."""
QUARTILE = 0.6744897501960817
NORMAL_SCALE, NORMAL_INDEX = 0.583, -0.46
"""A normal tail beyond its quartile: its scale in units of the interquartile range, and its index."""


def fit_smooth(sample: Sample, low: float = -np.inf, high: float = np.inf) -> Smooth:
    """Estimate a distribution on ``[low, high]``.

    A sample that looks normal is: a mean and a spread say more than knots. Another one has few knots to begin with; a
    cell whose rows do not lie as the spline says (Neyman's smooth test) is split in the middle until all do, so that
    two hills get theirs where they are needed. Each knot costs about ``1 / (2 rows)`` nats, as does each parameter of a
    tail; what few rows say is shrunk towards a normal distribution.
    """
    inside = sample.kept((sample.values > low) & (sample.values < high))
    if len(inside.values) < FEWEST_ROWS:
        return nearly_normal(inside, low, high)
    if low == -np.inf and high == np.inf and looks_normal(inside):
        return normal(inside)
    inside = shrunk(inside, low, high)
    below = mirrored(inside)
    heaviness = tail_heaviness(below, -low) + tail_heaviness(inside, high)
    lower, upper = fit_tail(below, -low, heaviness), fit_tail(inside, high, heaviness)
    if not -lower.start < upper.start:
        return nearly_normal(inside, low, high)
    first, last = np.searchsorted(inside.values, [-lower.start, upper.start])
    levels = ndtr(np.linspace(ndtri(lower.mass), -ndtri(upper.mass), FEWEST_KNOTS)[1:-1])
    inner = _nearest(inside.ranks, levels)
    inner = inner[(inner > first) & (inner < last)]
    while True:
        smooth = through(inside, inner, lower, upper)
        more = _split_points(smooth, inside, np.concatenate([[first], inner, [last]]))
        if len(more) == 0:
            return smooth
        inner = np.sort(np.concatenate([inner, more]))


def through(sample: Sample, inner: NDArray[np.int64], lower: Tail, upper: Tail) -> Smooth:
    """The distribution with knots at the tails' starts and at some values, each at its share of the rows."""
    knots = np.concatenate([[-lower.start], sample.values[inner], [upper.start]])
    scores = np.concatenate([[ndtri(lower.mass)], ndtri(sample.ranks[inner]), [-ndtri(upper.mass)]])
    return Smooth(knots, scores, inner_slopes(knots, scores), lower, upper)


def _split_points(smooth: Smooth, sample: Sample, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values in the middle of cells whose rows do not lie as the spline says."""
    stride = 1 + (bounds[-1] - bounds[0]) // MOST_TESTED
    tested = np.arange(bounds[0], bounds[-1], stride)
    levels = ndtr(smooth.scores_of(sample.values[tested])[0])
    starts = np.searchsorted(tested, bounds[:-1])
    edges = ndtr(smooth.scores)
    cell = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(tested))))
    rows = sample.rows[tested]
    wrong = ~look_uniform((levels - edges[cell]) / np.diff(edges)[cell], rows, starts, 1)
    large = np.add.reduceat(rows, starts) > 2.0 * np.sqrt(rows.sum())
    left, right = bounds[:-1][wrong & large], bounds[1:][wrong & large]
    middle = np.searchsorted(sample.ranks, 0.5 * (sample.ranks[left] + sample.ranks[right]))
    return np.asarray(middle[(middle > left) & (middle < right)])


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
        center, spread = moments(sample)
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
    tails: list[Tail] = [
        ExponentialEdge(float(start), 0.25, bound, 0.0)
        if np.isfinite(bound)
        else OpenTail(float(start), 0.25, float(knots[2] - knots[0]) * NORMAL_SCALE, NORMAL_INDEX, RAREST)
        for start, bound in ((-knots[0], -low), (knots[2], high))
    ]
    return Smooth(knots, scores, inner_slopes(knots, scores), *tails)


def fit_tail(sample: Sample, bound: float, heaviness: float) -> Tail:
    """The upper tail of a sample, open where the bound is infinite; ``heaviness`` is the evidence that it is heavy."""
    share = _tail_share(sample)
    if np.isfinite(bound):
        return fit_edge(sample, bound, share)
    exceedances, mass = _exceedances(sample, share)
    return fit_open_tail(exceedances, mass, sample.count, heaviness)


def tail_heaviness(sample: Sample, bound: float = np.inf) -> float:
    """The evidence in nats that the upper tail is heavy, from twice as many rows as the tail has; 0 at a bound."""
    return 0.0 if np.isfinite(bound) else _exceedances(sample, EVIDENCE_SHARE * _tail_share(sample))[0].heaviness


def _tail_share(sample: Sample) -> float:
    return min(float(sample.count**-GROWTH), MOST_TAIL)


def _exceedances(sample: Sample, share: float) -> tuple[Exceedances, float]:
    """The rows beyond an upper quantile, with the scale that the density there suggests, and their mass."""
    rows, start, mass = beyond(sample, share)
    _, before, more = beyond(sample, min(2.0 * mass, 0.5 * (1.0 + mass)))
    slope = (-ndtri(mass) + ndtri(more)) / (start - before) if start > before else 1.0
    scale = mass / float(np.exp(log_normal(ndtri(mass)))) / slope
    return Exceedances(rows, start, scale), mass


def _nearest(ranks: Array, levels: Array) -> NDArray[np.int64]:
    """The distinct indices of the ranks that are nearest to levels."""
    right = np.clip(np.searchsorted(ranks, levels), 1, len(ranks) - 1)
    return np.unique(np.where(levels - ranks[right - 1] < ranks[right] - levels, right - 1, right))
