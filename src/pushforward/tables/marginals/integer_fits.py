"""The distribution of whole numbers: frequent ones have masses of their own, rare ones share a smooth curve."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pushforward.tables.columns import Array
from pushforward.tables.marginals.integers import Integers
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.marginals.smooth import Smooth
from pushforward.tables.marginals.smooth_fits import GROWTH, inner_slopes, mirrored
from pushforward.tables.marginals.tail_fits import Exceedances, fit_exponential_edge, fit_open_tail
from pushforward.tables.marginals.tails import ExponentialEdge, Tail

FREQUENT = 10.0
"""From how many rows on a value has a mass of its own."""
UNSEEN_ROWS = 0.5
HALVING = 1.0 / np.log(2.0)
"""The least scale of a tail: the next value has half of the mass of the one before it."""


def fit_integers(sample: Sample, low: float = -np.inf, high: float = np.inf) -> Integers:
    """Estimate the masses of whole numbers in ``[low, high]``.

    A value that at least ten rows have is a cell of its own; a stretch of rare ones between two of them with
    ``r`` rows is divided into ``r^0.35`` cells. A gap between two frequent values gets half a row.
    """
    low, high = np.ceil(low), np.floor(high)
    edges, rows = _ended(sample, *cells(sample), low, high)
    total = rows.sum()
    below, above = np.cumsum(rows)[:-1] / total, np.cumsum(rows[::-1])[::-1][1:] / total
    scores = np.where(below < 0.5, ndtri(below), -ndtri(above))
    knots = edges[1:-1]
    upper = _tail(sample, knots, rows, high + 0.5)
    lower = _tail(mirrored(sample), -knots[::-1], rows[::-1], 0.5 - low)
    return Integers(Smooth(knots, scores, inner_slopes(knots, scores), lower, upper), float(low), float(high))


def cells(sample: Sample) -> tuple[Array, Array]:
    """Edges of cells and the rows in each: one for each frequent value, larger ones for rare values."""
    values, rows = sample.values, sample.rows
    frequent = rows >= FREQUENT
    # A run is a frequent value or a stretch of rare ones between two of them.
    run = np.cumsum(frequent | np.concatenate([[True], frequent[:-1]])) - 1
    in_run = np.bincount(run, weights=rows)
    starts = np.concatenate([[0.0], np.cumsum(in_run)[:-1]])
    parts = np.maximum(1.0, np.round(in_run**GROWTH))
    middle = np.cumsum(rows) - 0.5 * rows - starts[run]
    part = np.floor(np.minimum(middle / in_run[run], 1.0 - 1e-12) * parts[run])
    first = np.flatnonzero(np.concatenate([[True], (run[1:] != run[:-1]) | (part[1:] != part[:-1])]))
    last = np.append(first[1:], len(values)) - 1
    counts, alone = np.add.reduceat(rows, first), frequent[first]
    end, following = values[last[:-1]], values[first[1:]]
    middle = np.floor(0.5 * (end + following)) + 0.5
    right = np.where(alone[:-1], end + 0.5, np.where(alone[1:], following - 0.5, middle))
    edges = np.concatenate([[values[0] - 0.5], right, [values[-1] + 0.5]])
    # Nothing was seen in the gap between two frequent values, which gets a cell of its own.
    gaps = np.flatnonzero(alone[:-1] & alone[1:] & (following > end + 1.0)) + 1
    return np.insert(edges, gaps + 1, following[gaps - 1] - 0.5), np.insert(counts, gaps, UNSEEN_ROWS)


def _ended(sample: Sample, edges: Array, rows: Array, low: float, high: float) -> tuple[Array, Array]:
    """Let the outer cells be tails: up to a bound, or beyond the last frequent value; half a row where none was."""
    if np.isfinite(low) and edges[0] > low - 0.5:
        edges, rows = np.append(low - 0.5, edges), np.append(UNSEEN_ROWS, rows)
    if np.isfinite(high) and edges[-1] < high + 0.5:
        edges, rows = np.append(edges, high + 0.5), np.append(rows, UNSEEN_ROWS)
    if np.isinf(low) and sample.rows[0] >= FREQUENT:
        edges, rows = np.append(edges[0] - 1.0, edges), np.append(UNSEEN_ROWS, rows)
    if np.isinf(high) and sample.rows[-1] >= FREQUENT:
        edges, rows = np.append(edges, edges[-1] + 1.0), np.append(rows, UNSEEN_ROWS)
    while len(rows) < 3:
        # A spline has two knots at least; one within a cell changes no mass.
        largest = int(rows.argmax())
        edges = np.insert(edges, largest + 1, 0.5 * (edges[largest] + edges[largest + 1]))
        rows = np.insert(rows, largest, 0.5 * rows[largest])
        rows[largest + 1] *= 0.5
    return edges, rows


def _tail(sample: Sample, knots: Array, rows: Array, bound: float) -> Tail:
    """The upper tail beyond the last knot; ``bound`` is the edge of the last value, infinite for none."""
    start, mass = float(knots[-1]), float(rows[-1] / rows.sum())
    beyond = sample.kept(sample.values > start)
    if np.isfinite(bound):
        return (
            fit_exponential_edge(beyond, start, mass, bound)
            if bound > start + 1.0
            else ExponentialEdge(start, mass, bound, 0.0)
        )
    density = rows[-2] / rows.sum() / (knots[-1] - knots[-2])
    exceedances = Exceedances(beyond, start, max(mass / density, HALVING), step=1.0)
    return fit_open_tail(exceedances, mass, float(rows.sum()), exceedances.heaviness)
