"""A continuous distribution function: a monotone spline of normal scores between two tails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtri, ndtri_exp

from pushforward.tables.columns import Array, log_normal
from pushforward.tables.marginals.tails import Tail

SMALLEST_LOG = -700.0


class Smooth:
    r"""A distribution as its normal scores ``u(x) = Phi^-1(F(x))``.

    Between the knots ``u`` is a monotone rational-quadratic spline (Gregory and Delbourgo 1982, IMA Journal of
    Numerical Analysis 2), so that a normal distribution is a straight line and the density ``phi(u) u'`` is continuous.
    Beyond the outer ones it is given by the tails, whose density it meets there. Upper tails are computed from
    ``1 - F``, lower ones from ``F``, in logarithms, so that neither loses its digits.

    Args:
        knots: increasing, ``(K,)``, at least two.
        scores: the normal scores at them, increasing, ``(K,)``.
        slopes: ``du/dx`` at the inner ones, ``(K - 2,)``.
        lower, upper: the tails; their masses are those beyond the outer knots.
    """

    def __init__(self, knots: Array, scores: Array, slopes: Array, lower: Tail, upper: Tail) -> None:
        self.knots = np.asarray(knots, dtype=np.float64)
        self.scores = np.asarray(scores, dtype=np.float64)
        self.slopes = np.asarray(slopes, dtype=np.float64)
        self.lower = lower
        self.upper = upper
        ends = [
            float(tail.log_density(np.array(tail.start)) - log_normal(np.array(score)))
            for tail, score in ((lower, self.scores[0]), (upper, self.scores[-1]))
        ]
        log_slopes = np.concatenate([ends[:1], np.log(self.slopes), ends[1:]])
        widths, heights = np.diff(self.knots), np.diff(self.scores)
        log_secants = np.log(heights) - np.log(widths)
        # Slopes in units of their cell's secant, so that values of any size can be told.
        start, end = np.exp(log_slopes[:-1] - log_secants), np.exp(log_slopes[1:] - log_secants)
        # One row for each coefficient, so that those of a value's cell are gathered at once.
        self._cells = np.stack(
            [self.knots[:-1], widths, self.scores[:-1], heights, log_secants, start, start + end - 2.0]
        )

    def scores_of(self, x: Array) -> tuple[Array, Array]:
        """Return ``u`` and ``log du/dx``, infinite and ``-inf`` at a bound and beyond."""
        inside = np.clip(x, self.knots[0], self.knots[-1])
        cell = np.searchsorted(self.knots[1:-1], inside, side="right")
        knot, width, score, height, log_secant, slope, bend = self._cells.take(cell, axis=1)
        t = (inside - knot) / width
        steeper = (1.0 - slope) * t
        denominator = 1.0 + bend * t * (1.0 - t)
        u = score + height * t * (steeper + slope) / denominator
        log_du = log_secant + np.log((slope + 2.0 * steeper + bend * t * t) / denominator**2)
        for outside, tail, side in ((x < self.knots[0], self.lower, -1.0), (x > self.knots[-1], self.upper, 1.0)):
            if outside.any():
                y = side * x[outside]
                tail_u = -scores_of_logs(tail.log_survival(y))
                known = np.isfinite(tail_u)
                log_tail_du = tail.log_density(y) - log_normal(np.where(known, tail_u, 0.0))
                log_du[outside] = np.where(known, log_tail_du, -np.inf)
                u[outside] = side * tail_u
        return u, log_du

    def values_of(self, u: Array) -> Array:
        """Return the values whose normal scores are ``u``."""
        inside = np.clip(u, self.scores[0], self.scores[-1])
        cell = np.searchsorted(self.scores[1:-1], inside, side="right")
        knot, width, score, height, _, slope, bend = self._cells.take(cell, axis=1)
        rise = (inside - score) / height
        a, b, c = 1.0 - slope + rise * bend, slope - rise * bend, -rise
        root = np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0))
        t = np.clip(-2.0 * c / np.maximum(b + root, np.finfo(np.float64).tiny), 0.0, 1.0)
        x = knot + width * t
        for outside, tail, side in ((u < self.scores[0], self.lower, -1.0), (u > self.scores[-1], self.upper, 1.0)):
            if outside.any():
                x[outside] = side * tail.inverse(log_ndtr(-side * u[outside]))
        return x

    def state(self) -> dict[str, Any]:
        """All that defines it."""
        return {
            "knots": self.knots,
            "scores": self.scores,
            "slopes": self.slopes,
            "lower": self.lower.state(),
            "upper": self.upper.state(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Smooth:
        """The distribution of a :meth:`state`."""
        tails = Tail.restored(state["lower"]), Tail.restored(state["upper"])
        return cls(state["knots"], state["scores"], state["slopes"], *tails)


def scores_of_logs(log_probability: Array) -> Array:
    """``Phi^-1(exp(log_probability))`` for probabilities below a half, however small."""
    scores = ndtri(np.exp(log_probability))
    deep = log_probability < SMALLEST_LOG
    if deep.any():
        scores[deep] = np.where(np.isneginf(log_probability[deep]), -np.inf, ndtri_exp(log_probability[deep]))
    return np.asarray(scores)
