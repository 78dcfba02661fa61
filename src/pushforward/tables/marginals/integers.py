"""A column of whole numbers, counts and ordinals, of any range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import log_ndtr

from pushforward.tables.columns import Array, Column, Mask, log_normal
from pushforward.tables.marginals.smooth import Smooth, scores_of_logs

NARROW = 1e-5
LEAST_CELL = 0.02
"""In normal scores; where a cell is smaller the density changes by less than a hundredth within."""


class Integers(Column):
    r"""Whole numbers from ``low`` to ``high``: the mass of ``k`` is ``F(k + 1/2) - F(k - 1/2)``.

    ``F`` is a :class:`Smooth` with knots at both edges of every frequent value, which so has its own mass exactly;
    between them and in the tails it is smooth, so that rare values lend each other strength. What is no whole number
    is outside the support.

    Args:
        smooth: the distribution function at the edges.
        low, high: the first and last whole numbers, infinite for none.

    Example:
        >>> from pushforward.tables.marginals.integer_fits import fit_integers
        >>> from pushforward.tables.marginals.samples import Sample
        >>> column = fit_integers(Sample.of(np.repeat([0.0, 1.0, 3.0], [50, 30, 20]), np.ones(100)), low=0)
        >>> u, log_du = column.encode(np.array([0.0, 1.0, 2.5, -1.0]), np.full(4, 0.5))
        >>> np.exp(log_du - 0.5 * u**2 - 0.5 * np.log(2 * np.pi)).round(1)
        array([0.5, 0.3, 0. , 0. ])
    """

    discrete = True

    def __init__(self, smooth: Smooth, low: float, high: float) -> None:
        self.smooth = smooth
        self.low = low
        self.high = high

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        x = np.asarray(x, dtype=np.float64)
        possible = self._possible(x)
        x = np.where(possible, x, self._some_value())
        lower, _ = self.smooth.scores_of(x - 0.5)
        upper, _ = self.smooth.scores_of(x + 0.5)
        # Both edges are told by the mass beyond them on the side where it is the smaller.
        side = np.where(lower + upper > 0, -1.0, 1.0)
        outer, inner = np.where(side < 0, upper, lower), np.where(side < 0, lower, upper)
        log_inner = log_ndtr(side * inner)
        gap = log_ndtr(side * outer) - log_inner
        share = np.where(side < 0, 1.0 - noise, noise)
        narrow = np.abs(gap) < NARROW
        log_mass = np.where(narrow, self._narrow(lower, upper), log_inner + np.log(-np.expm1(np.minimum(gap, -1e-300))))
        u = side * scores_of_logs(log_inner + np.log(share - (share - 1.0) * np.exp(gap)))
        return np.where(possible, u, 0.0), np.where(possible, log_mass - log_normal(u), -np.inf)

    def decode(self, u: Array) -> Array:
        return np.clip(np.floor(self.smooth.values_of(np.asarray(u, dtype=np.float64)) + 0.5), self.low, self.high)

    def noisy(self, x: Array) -> Mask:
        possible = self._possible(x)
        x = np.where(possible, x, self._some_value())
        lower, upper = self.smooth.scores_of(x - 0.5)[0], self.smooth.scores_of(x + 0.5)[0]
        # In a narrow cell the density in the middle is the mean.
        return np.asarray((upper - lower > LEAST_CELL) & possible)

    def state(self) -> dict[str, Any]:
        return {"smooth": self.smooth.state(), "low": self.low, "high": self.high}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Integers:
        return cls(Smooth.restored(state["smooth"]), state["low"], state["high"])

    def _possible(self, x: Array) -> Mask:
        return (x >= self.low) & (x <= self.high) & (x == np.floor(x))

    def _some_value(self) -> float:
        return float(self.decode(np.zeros(1))[0])

    @staticmethod
    def _narrow(lower: Array, upper: Array) -> Array:
        """The log-mass of cells so narrow that the difference of two probabilities has lost its digits."""
        finite = np.isfinite(lower) & np.isfinite(upper)
        width = np.where(finite, upper, 1.0) - np.where(finite, lower, 0.0)
        middle = np.where(finite, lower, 0.0) + 0.5 * width
        return np.asarray(np.log(np.maximum(width, 1e-300)) + log_normal(middle))
