"""A column of real numbers with a density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtri

from pushforward.tables.columns import Array, Column, Mask
from pushforward.tables.marginals.smooth import Smooth


class Continuous(Column):
    r"""A real column on ``[low, high]``: ``u = Phi^-1(F(x))`` with a continuous ``F``, in nats in the data's own units.

    ``F`` is a spline of normal scores between two tails: beyond the outer knots generalised Pareto ones whose index is
    estimated without the outermost rows, or, at a bound, one whose density there may be positive. The bounds
    themselves belong to the support; their density is that right beside them.

    Args:
        smooth: the distribution.
        low, high: its bounds, infinite for none.
        nearest: the normal score that stands for a value on a bound, whose own is infinite.

    Example:
        >>> from pushforward.tables.marginals.fits import fit_real
        >>> from pushforward.tables.marginals.samples import Sample
        >>> waits = np.random.default_rng(0).exponential(2.0, 20_000)
        >>> column = fit_real(Sample.of(waits, np.ones(20_000)), 0.0, np.inf, atoms=np.zeros(0))
        >>> u, log_du = column.encode(np.array([0.0, 1e-4, -1.0]), np.zeros(3))
        >>> np.exp(log_du - 0.5 * u**2 - 0.5 * np.log(2 * np.pi)).round(2)
        array([0.49, 0.49, 0.  ])
    """

    discrete = False

    def __init__(self, smooth: Smooth, low: float, high: float, nearest: float) -> None:
        self.smooth = smooth
        self.low = low
        self.high = high
        self.nearest = nearest
        self._beside_low, self._middle, self._beside_high = smooth.values_of(np.array([-nearest, 0.0, nearest]))

    @classmethod
    def of(cls, smooth: Smooth, low: float, high: float, rows: float) -> Continuous:
        """The column of so many rows: a value on a bound stands a thousandth of a row's share beside it."""
        return cls(smooth, low, high, float(-ndtri(1e-3 / max(rows, 1.0))))

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        x = np.array(x, dtype=np.float64)
        outside = ~((x >= self.low) & (x <= self.high))
        x[outside] = self._middle
        x[x == self.low] = self._beside_low
        x[x == self.high] = self._beside_high
        u, log_du = self.smooth.scores_of(x)
        u[outside], log_du[outside] = 0.0, -np.inf
        return u, log_du

    def decode(self, u: Array) -> Array:
        return np.clip(self.smooth.values_of(np.asarray(u, dtype=np.float64)), self.low, self.high)

    def noisy(self, x: Array) -> Mask:
        return np.zeros(len(x), dtype=bool)

    def state(self) -> dict[str, Any]:
        return {"smooth": self.smooth.state(), "low": self.low, "high": self.high, "nearest": self.nearest}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Continuous:
        return cls(Smooth.restored(state["smooth"]), state["low"], state["high"], state["nearest"])
