"""Missing values as an atom of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from pushforward.tables.columns import Array, Column, Mask, column_state, log_normal, restored_column
from pushforward.tables.marginals.atoms import nearer_score


class WithMissing(Column):
    """A column some of whose values are missing: NaN is an atom below all others.

    Args:
        present: the column of the values that are there.
        mass: the probability of a missing one.
    """

    discrete = True

    def __init__(self, present: Column, mass: float) -> None:
        self.present = present
        self.mass = mass
        self.end = float(ndtri(mass))

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        missing = np.isnan(x)
        inner, log_du = self.present.encode(x, noise)
        share = 1.0 - self.mass
        below = np.where(missing, noise * self.mass, self.mass + share * ndtr(inner))
        above = np.where(missing, 1.0 - noise * self.mass, share * ndtr(-inner))
        u = nearer_score(below, above)
        log_density = np.where(missing, np.log(self.mass), np.log(share) + log_du + log_normal(inner))
        return u, log_density - log_normal(u)

    def decode(self, u: Array) -> Array:
        u = np.asarray(u, dtype=np.float64)
        share = 1.0 - self.mass
        present = self.present.decode(nearer_score((ndtr(u) - self.mass) / share, ndtr(-u) / share))
        return np.where(u <= self.end, np.nan, present)

    def noisy(self, x: Array) -> Mask:
        return np.isnan(x) | self.present.noisy(x)

    def state(self) -> dict[str, Any]:
        return {"present": column_state(self.present), "mass": self.mass}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> WithMissing:
        return cls(restored_column(state["present"]), state["mass"])


class NeverMissing(Column):
    """A column without missing values when it was fitted: one that comes has the tiny mass of an unseen value.

    It has no cell of its own, so none is ever drawn; it stands at the middle of the column.

    Args:
        present: the column of the values that are there.
        mass: the probability of a missing one.
    """

    discrete = False

    def __init__(self, present: Column, mass: float) -> None:
        self.present = present
        self.mass = mass
        self.discrete = present.discrete

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        missing = np.isnan(x)
        u, log_du = self.present.encode(x, noise)
        log_du += np.log1p(-self.mass)
        u[missing], log_du[missing] = 0.0, np.log(self.mass) - log_normal(np.zeros(1))
        return u, log_du

    def decode(self, u: Array) -> Array:
        return self.present.decode(u)

    def noisy(self, x: Array) -> Mask:
        return self.present.noisy(x)

    def state(self) -> dict[str, Any]:
        return {"present": column_state(self.present), "mass": self.mass}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> NeverMissing:
        return cls(restored_column(state["present"]), state["mass"])
