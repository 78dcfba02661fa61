"""Bounds that a column shows without being told: of counts, of shares, of what is clipped or zero-inflated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pushforward.tables.columns import Array
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.marginals.smooth_fits import FEWEST_ROWS, fit_tail, mirrored, tail_heaviness

EXPECTED_ROWS = 5.0
WHOLES = (1.0, 100.0)
SKEWNESS, SPREAD = 2.0, 10.0
FEWEST_FOR_SKEWNESS = 50
NEARLY_WHOLE = 0.9


@dataclass(frozen=True)
class Bounds:
    """The interval that a column is modelled on, and why."""

    low: float
    high: float
    why: str = ""


FREE = Bounds(-np.inf, np.inf)


def observed_bounds(rest: Sample, atoms: Array) -> Bounds:
    """Return the bounds of a real column.

    - The smallest value is a bound where it is an atom of more than a hundredth of the rows with a density above it
      (zero inflation, clipping), and so is the largest.
    - 0 is one of a column that has no negative values where the tail without a bound would have put at least 5 rows
      below it, or where all are positive, the 99 % quantile is ten times the 1 % quantile, and it is twice as far from
      the median: amounts, durations, prices. The same for a column that has no positive values.
    - 1 or 100 is one of a column with the lower bound 0 by the same rule, or where the largest value comes within a
      tenth of it: shares.

    Args:
        rest: the values that are no atoms.
        atoms: the values that are and have so many rows, increasing.
    """
    if len(rest.values) < FEWEST_ROWS:
        return FREE
    low, why_low = _lower(rest, atoms)
    mirrored_high, why_high = _lower(mirrored(rest), -atoms[::-1])
    high = -mirrored_high
    if low == 0 and np.isinf(high):
        high, why_high = _whole(rest, atoms)
    return Bounds(low, high, "; ".join(dict.fromkeys(why for why in (why_low, why_high) if why)))


def lower_bound_of_integers(sample: Sample) -> Bounds:
    """Return the bounds of whole numbers: 0 where none is negative and 0 or 1 occurs, or by the rules of a density."""
    if sample.values[0] in (0.0, 1.0):
        return Bounds(0.0, np.inf, "counts begin at 0")
    if len(sample.values) < FEWEST_ROWS:
        return FREE
    low, why = _zero(sample)
    return Bounds(low, np.inf, why)


def _lower(rest: Sample, atoms: Array) -> tuple[float, str]:
    if len(atoms) and atoms[0] < rest.values[0]:
        return float(atoms[0]), "nothing beyond a repeated value"
    return _zero(rest)


def _zero(sample: Sample) -> tuple[float, str]:
    if sample.values[0] < 0:
        return -np.inf, ""
    expected = _expected_beyond(mirrored(sample), 0.0)
    if expected >= EXPECTED_ROWS:
        return 0.0, f"none beyond 0, where {expected:.0f} rows were expected"
    first, middle, last = (sample.quantile(level) for level in (0.01, 0.5, 0.99))
    skewed = last - middle > SKEWNESS * (middle - first) and last > SPREAD * first
    if sample.values[0] > 0 and sample.count >= FEWEST_FOR_SKEWNESS and skewed:
        return 0.0, "positive and skewed"
    return -np.inf, ""


def _whole(rest: Sample, atoms: Array) -> tuple[float, str]:
    largest = max(rest.values[-1], atoms[-1] if len(atoms) else -np.inf)
    for whole in WHOLES:
        if NEARLY_WHOLE * whole <= largest <= whole or (
            largest <= whole and _expected_beyond(rest, whole) >= EXPECTED_ROWS
        ):
            return whole, f"shares of {_shown(whole)}"
    return np.inf, ""


def _expected_beyond(sample: Sample, bound: float) -> float:
    """How many rows a tail without a bound would have beyond one."""
    tail = fit_tail(sample, np.inf, tail_heaviness(sample))
    return float(sample.count * np.exp(tail.log_survival(np.array(bound)))) if bound > tail.start else 0.0


def _shown(value: float) -> str:
    return f"{value:.6g}"
