"""The marginal distribution of a column, estimated from its values."""

from __future__ import annotations

import numpy as np

from pushforward.tables.columns import Array, Column
from pushforward.tables.marginals.atoms import WithAtoms
from pushforward.tables.marginals.circular import WINDOW, Circle, Circular, sparsest_cut
from pushforward.tables.marginals.continuous import Continuous
from pushforward.tables.marginals.integer_fits import fit_integers
from pushforward.tables.marginals.missing import NeverMissing, WithMissing
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.marginals.smooth_fits import FEWEST_ROWS, fit_smooth

UNSEEN_ROWS = 0.5
NEVER_MISSING_ROWS = 0.05
"""Half a row, and one chance in ten that values of a column that never were missing ever will be."""


def fit_real(sample: Sample, low: float, high: float, atoms: Array) -> Column:
    """Estimate a density on ``[low, high]`` with atoms at the given values.

    A column of nothing but atoms has a density of half a row besides, as wide as the atoms lie, so that a value between
    them is improbable and not impossible.
    """
    seen, rest = sample.split(atoms)
    dense = rest if rest.count >= FEWEST_ROWS and len(rest.values) >= FEWEST_ROWS else sample
    continuous = Continuous.of(fit_smooth(dense, low, high), low, high, sample.count)
    if len(seen.values) == 0:
        return continuous
    total = seen.count + max(rest.count, UNSEEN_ROWS)
    return WithAtoms(continuous, seen.values, seen.rows / total)


def fit_circle(x: Array, weights: Array, low: float, period: float, whole: bool, atoms: Array) -> Circular:
    """Estimate a distribution around a circle, of whole numbers where all are."""
    cut = sparsest_cut(x, weights, low, period, whole)
    circle = Circle(low, period, cut, WINDOW * period)
    doubled, second = circle.second(x)
    images = np.concatenate([circle.principal(x), second[doubled]])
    chances = circle.chance(images) * np.concatenate([weights, weights[doubled]])
    sample = Sample.of(images, chances)
    lowest, highest = cut - circle.reach, cut + period + circle.reach
    line = fit_integers(sample, lowest, highest) if whole else fit_real(sample, lowest, highest, atoms)
    return Circular(line, circle)


def with_missing(present: Column, missing_rows: float, rows: float) -> Column:
    """Give missing values a mass: their share, or a tiny one where there were none."""
    if missing_rows > 0:
        return WithMissing(present, missing_rows / rows)
    return NeverMissing(present, NEVER_MISSING_ROWS / (rows + 1.0))
