"""A column of categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from pushforward.tables.columns import Array, Column, Mask, log_normal

UNSEEN_ROWS = 0.5


class Categories(Column):
    """Categories by their index, each a cell of the unit interval as wide as its mass; an index of -1 has none.

    Args:
        masses: the probability of each category, ``(K,)``, all positive.
    """

    discrete = True

    def __init__(self, masses: Array) -> None:
        self.masses = np.asarray(masses, dtype=np.float64)
        self.below = np.concatenate([[0.0], np.cumsum(self.masses)])
        self.above = np.concatenate([np.cumsum(self.masses[::-1])[::-1], [0.0]])

    @classmethod
    def fitted(cls, x: Array, weights: Array, count: int) -> Categories:
        """Estimate the masses; half a row more in each, so that none that was declared and not seen is impossible."""
        rows = np.bincount(x.astype(np.int64), weights=weights, minlength=count) + UNSEEN_ROWS
        return cls(rows / rows.sum())

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        possible = (x >= 0) & (x < len(self.masses)) & (x == np.floor(x))
        index = np.where(possible, x, 0.0).astype(np.int64)
        mass = self.masses[index]
        below, above = self.below[index] + noise * mass, self.above[index + 1] + (1.0 - noise) * mass
        u = np.where(below < above, ndtri(below), -ndtri(above))
        return np.where(possible, u, 0.0), np.where(possible, np.log(mass) - log_normal(u), -np.inf)

    def decode(self, u: Array) -> Array:
        u = np.asarray(u, dtype=np.float64)
        from_below = np.searchsorted(self.below[1:-1], ndtr(u), side="right")
        from_above = len(self.masses) - 1 - np.searchsorted(self.above[-2:0:-1], ndtr(-u), side="right")
        return np.where(u < 0, from_below, from_above).astype(np.float64)

    def noisy(self, x: Array) -> Mask:
        return ~np.isnan(x)

    def state(self) -> dict[str, Any]:
        return {"masses": self.masses}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Categories:
        return cls(state["masses"])
