"""The values of one column in increasing order, with the number of rows that each stands for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pushforward.tables.columns import Array, Mask

LARGEST_DEVIATION = 2.2


@dataclass(frozen=True)
class Sample:
    """Distinct values in increasing order, and how many rows have each; the rows need not be whole numbers."""

    values: Array
    rows: Array

    @classmethod
    def of(cls, x: Array, weights: Array) -> Sample:
        """Bring equal values together; values without a weight are left out."""
        order = np.argsort(x, kind="stable")
        x, weights = x[order], weights[order]
        x, weights = x[weights > 0], weights[weights > 0]
        if len(x) == 0:
            return cls(x, weights)
        first = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]]))
        return cls(x[first], np.add.reduceat(weights, first))

    def kept(self, mask: Mask) -> Sample:
        """Some of the values."""
        return Sample(self.values[mask], self.rows[mask])

    def split(self, values: Array) -> tuple[Sample, Sample]:
        """The rows that have one of some values, in increasing order, and the others."""
        if len(values) == 0:
            return self.kept(np.zeros(len(self.values), dtype=bool)), self
        position = np.minimum(np.searchsorted(values, self.values), len(values) - 1)
        among = values[position] == self.values
        return self.kept(among), self.kept(~among)

    @cached_property
    def count(self) -> float:
        """How many rows there are."""
        return float(self.rows.sum())

    @cached_property
    def ranks(self) -> Array:
        """The share of rows below each value, and half of those at it."""
        return (np.cumsum(self.rows) - 0.5 * self.rows) / self.rows.sum()

    def quantile(self, level: float) -> float:
        """The value nearest to a level."""
        return float(self.values[np.abs(self.ranks - level).argmin()])


def look_uniform(levels: Array, rows: Array, starts: NDArray[np.int64], degree: int) -> Mask:
    """Whether levels in the unit interval look uniform, each stretch of them for itself.

    Neyman's smooth test (1937, Skandinavisk Aktuarietidskrift 20): the mean of each Legendre polynomial from
    ``degree`` up to the third is less than ``LARGEST_DEVIATION`` standard errors from 0.

    Args:
        levels: ``(n,)``.
        rows: how many rows each of them stands for, ``(n,)``.
        starts: where stretches begin.
        degree: 1, or 2 where the first one was fitted.
    """
    v = 2.0 * levels - 1.0
    polynomials = np.sqrt(3.0) * v, np.sqrt(5.0) * (1.5 * v**2 - 0.5), np.sqrt(7.0) * (2.5 * v**3 - 1.5 * v)
    error = np.sqrt(np.add.reduceat(rows, starts))
    sums = np.array([np.abs(np.add.reduceat(rows * values, starts)) for values in polynomials[degree - 1 :]])
    return np.asarray((sums < LARGEST_DEVIATION * error).all(0))
