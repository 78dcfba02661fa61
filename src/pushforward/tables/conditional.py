r"""Some columns of a table given others, by importance resampling of the flow's joint density.

The flow knows ``p(a, b)`` of all columns. To draw ``b`` given ``a``, candidates ``b_1 .. b_K`` come from the
conditional of the Gaussian copula that the whitening holds, a fifth of them spread twice as wide, with weights
``w_k = p(a, b_k) / q(b_k | a)``, and one of them is taken with chances in proportion to its weight (sampling importance
resampling: Rubin 1988, Bayesian Statistics 3). Draws become exact as ``K`` grows; how good they are is seen from the
effective sample size ``(sum w)^2 / sum w^2``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pushforward.errors import DataError
from pushforward.flows import Flow
from pushforward.tables.chunks import slices
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array, Mask
from pushforward.tables.likelihood import log_prob
from pushforward.tables.marginals.missing import WithMissing
from pushforward.tables.proposals import PARTLY_WIDER, Ends, draw_between, ends_of
from pushforward.tables.quadrature import cell_points
from pushforward.tables.whitening import whitening_of


@dataclass(frozen=True)
class Candidates:
    """Completions of some rows with the weights that make them draws of the conditional distribution.

    Attributes:
        rows: which of the given rows they complete.
        codes: ``(n, K, D)``.
        weights: ``(n, K)``, adding up to 1 for each row.
    """

    rows: slice
    codes: Array
    weights: Array

    def effective_sample_sizes(self) -> Array:
        """How many equally weighted draws each row's candidates are worth, ``(n,)``."""
        return 1.0 / (self.weights**2).sum(1)

    def chosen(self, draws: int, rng: np.random.Generator) -> Array:
        """Return the codes ``(n, draws, D)`` of candidates, each taken in proportion to its weight."""
        edges = np.cumsum(self.weights, axis=1)
        # Evenly spaced over the weights and in a random order: fewer take the same candidate twice.
        even = (np.arange(draws) + rng.random((len(edges), 1))) / draws
        even = rng.permuted(even, axis=1) * edges[:, -1:]
        index = np.stack([np.searchsorted(edge, each, side="right") for edge, each in zip(edges, even)])
        return np.take_along_axis(self.codes, np.minimum(index, edges.shape[1] - 1)[..., None], 1)


@dataclass(frozen=True)
class Completion:
    """The distribution of the unknown columns of rows.

    A given angle near the cut of its circle has two images; each row takes one, with the chances of the fit.

    Attributes:
        flow: over the codes.
        code: of the table.
        candidates: how many of each row.
        present: whether unknown values are never missing ones.
    """

    flow: Flow | None
    code: LatentCode
    candidates: int
    present: bool

    def weighted(self, numbers: Array, unknown: Mask, rng: np.random.Generator) -> Iterator[Candidates]:
        """Yield the candidates of rows ``(n, columns)``, some rows at a time.

        Raises:
            DataError: if what is given is outside the support.
        """
        base = cell_points(self.candidates, self.code.features + 1)
        for rows in slices(len(numbers), numbers.shape[1], repeats=self.candidates):
            ends = self._ends(numbers[rows], unknown[rows], rng)
            points = (base + rng.random((len(ends.log_du), 1, base.shape[1]))) % 1.0
            yield self._weighed(rows, ends, points)

    def _weighed(self, rows: slice, ends: Ends, points: Array) -> Candidates:
        if self.flow is None:
            return Candidates(rows, np.zeros((*points.shape[:2], 0)), np.full(points.shape[:2], 1.0 / points.shape[1]))
        none = np.empty((len(points), 0))
        codes, log_weights = draw_between(whitening_of(self.flow), none, ends.low, ends.high, points, PARTLY_WIDER)
        flat = codes.reshape(-1, codes.shape[-1])
        log_weights = log_weights + log_prob(self.flow, flat, np.empty((len(flat), 0))).reshape(log_weights.shape)
        weights = np.exp(log_weights - log_weights.max(1, keepdims=True))
        return Candidates(rows, codes, weights / weights.sum(1, keepdims=True))

    def _ends(self, numbers: Array, unknown: Mask, rng: np.random.Generator) -> Ends:
        """Where the codes of rows lie: what is given at its point or in its cell, what is not anywhere."""
        # Any value of the support stands where a column is unknown.
        middle = self.code.decode(np.zeros((1, self.code.features)))
        filled = np.where(unknown, np.broadcast_to(middle, numbers.shape), numbers)
        ends = ends_of(self.code, self.code.draw_images(filled, rng))
        if np.isneginf(ends.log_du).any():
            raise DataError(
                f"{int(np.isneginf(ends.log_du).sum())} rows have given values outside the support (a bound, an "
                f"unknown category, another value in a constant column): nothing is known given them"
            )
        free = unknown[:, self.code.varying]
        return Ends(np.where(free, self._lowest(), ends.low), np.where(free, np.inf, ends.high), ends.log_du)

    def _lowest(self) -> Array:
        """Where the codes of unknown values begin: above the cells of missing ones, where none is to be drawn."""
        ends = [column.end if isinstance(column, WithMissing) else -np.inf for column in self.code.columns]
        return np.array(ends) if self.present else np.full(len(ends), -np.inf)
