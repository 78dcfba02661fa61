"""A density with point masses, and how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from pushforward.tables.columns import Array, Column, Mask, column_state, log_normal, restored_column
from pushforward.tables.marginals.continuous import Continuous
from pushforward.tables.marginals.samples import Sample

FEWEST_REPEATS = 8.0
EXCESS = 8.0
NEIGHBOURS = 5
SPIKES_AROUND = 2
FEW_VALUES = 100
ROWS_PER_VALUE = 20.0


class WithAtoms(Column):
    r"""A column with point masses ``m_k`` at values ``a_k`` and a density elsewhere.

    ``F(x) = (1 - sum_k m_k) G(x) + sum of m_k over a_k <= x``, with ``G`` the distribution of the rest. Log-densities
    are with respect to Lebesgue's measure plus counting on the atoms: ``log m_k`` at one, ``log ((1 - sum m) g(x))``
    elsewhere. Samples land on atoms exactly.

    A value is taken for an atom where at least 8 rows have it, and 8 times as many as have each of its ten neighbours
    on average, the two most frequent of them left out: far more than the density around it explains. Where a column
    has at most 100 different values, and 20 rows for each, all that at least 8 rows have are atoms.

    Args:
        rest: the column of what is no atom.
        values: of the atoms, increasing, ``(K,)``.
        masses: of the atoms, ``(K,)``, together less than 1.

    Example:
        >>> from pushforward.tables.marginals.fits import fit_real
        >>> rng = np.random.default_rng(0)
        >>> spent = np.where(rng.random(1000) < 0.6, 0.0, rng.lognormal(size=1000))
        >>> sample = Sample.of(spent, np.ones(1000))
        >>> find_atoms(sample)
        array([0.])
        >>> column = fit_real(sample, 0.0, np.inf, find_atoms(sample))
        >>> float((column.decode(rng.normal(size=10_000)) == 0).mean().round(1))
        0.6
    """

    discrete = True

    def __init__(self, rest: Continuous, values: Array, masses: Array) -> None:
        self.rest = rest
        self.values = np.asarray(values, dtype=np.float64)
        self.masses = np.asarray(masses, dtype=np.float64)
        self.share = 1.0 - float(self.masses.sum())
        inner, _ = rest.smooth.scores_of(self.values)
        atoms_below = np.concatenate([[0.0], np.cumsum(self.masses)])
        atoms_above = np.concatenate([np.cumsum(self.masses[::-1])[::-1], [0.0]])
        self.atoms_below, self.atoms_above = atoms_below, atoms_above
        # What is below and what is above an atom, each from its own end so that neither loses its digits.
        self.below = self.share * ndtr(inner) + atoms_below[:-1]
        self.above = self.share * ndtr(-inner) + atoms_above[1:]
        self.starts = nearer_score(self.below, self.above + self.masses)
        self.ends = nearer_score(self.below + self.masses, self.above)

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        position = np.searchsorted(self.values, x)
        atom = np.minimum(position, len(self.values) - 1)
        is_atom = self.values[atom] == x
        inner, log_du = self.rest.encode(np.where(is_atom, np.nan, x), noise)
        mass = self.masses[atom]
        below = np.where(
            is_atom, self.below[atom] + noise * mass, self.share * ndtr(inner) + self.atoms_below[position]
        )
        above = np.where(
            is_atom, self.above[atom] + (1.0 - noise) * mass, self.share * ndtr(-inner) + self.atoms_above[position]
        )
        u = nearer_score(below, above)
        log_density = np.where(is_atom, np.log(mass), np.log(self.share) + log_du + log_normal(inner))
        return u, log_density - log_normal(u)

    def decode(self, u: Array) -> Array:
        u = np.asarray(u, dtype=np.float64)
        position = np.searchsorted(self.ends, u)
        atom = np.minimum(position, len(self.values) - 1)
        below, above = ndtr(u) - self.atoms_below[position], ndtr(-u) - self.atoms_above[position]
        rest = self.rest.decode(nearer_score(below / self.share, above / self.share))
        return np.where((self.starts[atom] <= u) & (u <= self.ends[atom]), self.values[atom], rest)

    def noisy(self, x: Array) -> Mask:
        return np.isin(x, self.values)

    def state(self) -> dict[str, Any]:
        return {"rest": column_state(self.rest), "values": self.values, "masses": self.masses}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> WithAtoms:
        rest = restored_column(state["rest"])
        assert isinstance(rest, Continuous)
        return cls(rest, state["values"], state["masses"])


def nearer_score(below: Array, above: Array) -> Array:
    """The normal score of a point with these probabilities on its sides, from the smaller one; never infinite."""
    share = np.clip(np.minimum(below, above), np.finfo(np.float64).tiny, 0.5)
    return np.asarray(np.where(below < above, 1.0, -1.0) * ndtri(share))


def find_atoms(sample: Sample, few: bool = True) -> Array:
    """Return the values that repeat far beyond chance, by the rule of :class:`WithAtoms`.

    Args:
        sample: the column.
        few: whether a column of few different values consists of atoms.
    """
    values, rows = sample.values, sample.rows
    often = rows >= FEWEST_REPEATS
    if few and len(values) <= FEW_VALUES and sample.count >= ROWS_PER_VALUE * len(values):
        return np.asarray(values[often])
    candidates = np.flatnonzero(often)
    if len(candidates) == 0:
        return values[:0]
    offsets = np.concatenate([np.arange(-NEIGHBOURS, 0), np.arange(1, NEIGHBOURS + 1)])
    near = candidates[:, None] + offsets
    around = np.where((near >= 0) & (near < len(values)), rows[np.clip(near, 0, len(values) - 1)], 1.0)
    usual = np.sort(around, axis=1)[:, : 2 * NEIGHBOURS - SPIKES_AROUND].mean(1)
    return np.asarray(values[candidates[rows[candidates] >= EXCESS * usual]])
