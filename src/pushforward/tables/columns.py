"""How one column of a table becomes a real number that a flow can model, with the exact log-derivative.

A continuous column is standardised, after a logarithm or logit where it has bounds. A column of integers or categories
is dequantized: uniform noise in (0, 1) is added, so that the density of ``value + noise``, integrated over the noise,
is the mass of the value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from pushforward.errors import DataError

Array = NDArray[np.float64]

LOG_SQRT_TWO_PI = 0.5 * np.log(2 * np.pi)
MAX_CELLS = 1024
MIN_CELLS = 32
ROWS_PER_CELL = 20


class Column(ABC):
    """One column's map to a real number near a standard normal.

    Attributes:
        discrete: whether :meth:`encode` uses its noise.
    """

    discrete: bool

    @abstractmethod
    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        """Return ``u`` and ``log du/dx``; a value outside the support gets ``u = 0`` and ``-inf``."""

    @abstractmethod
    def decode(self, u: Array) -> Array:
        """Return the value whose code is ``u``, without its noise."""


class Continuous(Column):
    r"""A real column, standardised: ``u = (g(x) - center) / scale``, where ``g`` is the identity, a logarithm for one
    bound, or a logit for two. The bounds themselves have density zero."""

    discrete = False

    def __init__(self, low: float, high: float, center: float, scale: float) -> None:
        self.low = low
        self.high = high
        self.center = center
        self.scale = scale

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        inside = (x > self.low) & (x < self.high)
        y, log_dy = unbound(x, self.low, self.high)
        u = np.where(inside, (y - self.center) / self.scale, 0.0)
        return u, np.where(inside, log_dy - np.log(self.scale), -np.inf)

    def decode(self, u: Array) -> Array:
        return bound(self.center + self.scale * u, self.low, self.high)


class Dequantized(Column):
    """A column of integers with many values: ``value + noise`` is treated as continuous."""

    discrete = True

    def __init__(self, continuous: Continuous) -> None:
        self.continuous = continuous

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        return self.continuous.encode(x + noise, noise)

    def decode(self, u: Array) -> Array:
        return np.floor(self.continuous.decode(u))


class Cells(Column):
    r"""A column of few integers, each a cell of the unit interval as wide as its probability.

    ``F = F_k + noise p_k`` is uniform where the column has these probabilities, so that ``u = Phi^-1(F)`` is standard
    normal, and a flow that has learned nothing gives each value its own probability exactly. Beyond the first and the
    last cell, where a tail has mass ``t``, the value ``j`` steps out has mass ``t / 2^j``.
    """

    discrete = True

    def __init__(self, first: int, probabilities: Array, lower_tail: float, upper_tail: float) -> None:
        self.first = first
        self.probabilities = probabilities
        self.lower_tail = lower_tail
        self.upper_tail = upper_tail
        self.below = lower_tail + np.concatenate([[0.0], np.cumsum(probabilities)])
        self.above = upper_tail + np.concatenate([np.cumsum(probabilities[::-1])[::-1], [0.0]])

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        count = len(self.probabilities)
        index = np.clip(x - self.first, -2000, count + 2000).astype(np.int64)
        inner = np.clip(index, 0, count - 1)
        down = np.clip(-index, 1, 1000).astype(np.float64)
        up = np.clip(index - count + 1, 1, 1000).astype(np.float64)
        lower, upper = self.lower_tail * 0.5**down, self.upper_tail * 0.5**up
        is_lower, is_upper = index < 0, index >= count
        mass = np.where(is_lower, lower, np.where(is_upper, upper, self.probabilities[inner]))
        # Both the mass below and the mass above, so that neither tail loses its digits to 1 - F.
        below = np.where(is_lower, lower * (1.0 + noise), self.below[inner] + noise * mass)
        above = np.where(is_upper, upper * (2.0 - noise), self.above[inner + 1] + (1.0 - noise) * mass)
        from_below = np.where(is_lower, True, np.where(is_upper, False, below < above))
        inside = (mass > 0) & (index > -1000) & (index < count + 999)
        share = np.where(inside, np.where(from_below, below, above), 0.5)
        u = ndtri(share) * np.where(from_below, 1.0, -1.0)
        log_du = np.log(np.where(inside, mass, 1.0)) + 0.5 * u**2 + LOG_SQRT_TWO_PI
        return u, np.where(inside, log_du, -np.inf)

    def decode(self, u: Array) -> Array:
        below, above = ndtr(u), ndtr(-u)
        inner = np.clip(np.searchsorted(self.below, below, side="right") - 1, 0, len(self.probabilities) - 1)
        value = inner.astype(np.float64)
        tiny = np.finfo(np.float64).tiny
        if self.lower_tail > 0:
            steps = np.floor(np.log2(self.lower_tail / np.maximum(below, tiny))) + 1.0
            value = np.where(below < self.lower_tail, -np.maximum(steps, 1.0), value)
        if self.upper_tail > 0:
            steps = np.floor(np.log2(self.upper_tail / np.maximum(above, tiny))) + 1.0
            value = np.where(above < self.upper_tail, len(self.probabilities) - 1 + np.maximum(steps, 1.0), value)
        return self.first + value


def unbound(x: Array, low: float, high: float) -> tuple[Array, Array]:
    """Map the open interval onto the reals: ``log(x - low)``, ``-log(high - x)``, their sum, or ``x`` itself.

    Values outside give any finite number.
    """
    tiny = np.finfo(np.float64).tiny
    from_low = np.log(np.maximum(x - low, tiny)) if np.isfinite(low) else np.zeros_like(x)
    to_high = np.log(np.maximum(high - x, tiny)) if np.isfinite(high) else np.zeros_like(x)
    if np.isfinite(low) and np.isfinite(high):
        return from_low - to_high, np.log(high - low) - from_low - to_high
    if np.isfinite(low):
        return from_low, -from_low
    if np.isfinite(high):
        return -to_high, -to_high
    return x, np.zeros_like(x)


def bound(y: Array, low: float, high: float) -> Array:
    """The inverse of :func:`unbound`; never rounds onto a bound."""
    y = np.clip(y, -700.0, 700.0) if np.isfinite(low) or np.isfinite(high) else y
    if np.isfinite(low) and np.isfinite(high):
        # From the nearer end, whose digits would be lost on the way from the other.
        x = np.where(y < 0, low + (high - low) / (1.0 + np.exp(-y)), high - (high - low) / (1.0 + np.exp(y)))
    elif np.isfinite(low):
        x = low + np.exp(y)
    elif np.isfinite(high):
        x = high - np.exp(-y)
    else:
        x = y
    return np.clip(x, np.nextafter(low, np.inf), np.nextafter(high, -np.inf))


def fit_continuous(name: str, x: Array, weights: Array, low: float = -np.inf, high: float = np.inf) -> Continuous:
    """Standardise a real column with the weighted mean and standard deviation behind its bounds.

    Raises:
        DataError: if a value lies on or outside a bound.
    """
    where = f"on or outside its bounds ({low}, {high}), whose ends are excluded"
    check_bounds(name, x, (x <= low) | (x >= high), where)
    y, _ = unbound(x, low, high)
    center, scale = moments(y, weights)
    return Continuous(low, high, center, scale)


def fit_integers(name: str, x: Array, weights: Array, low: float = -np.inf, high: float = np.inf) -> Column:
    """Choose cells for a column of few integers with many rows each, and dequantized standardisation for others.

    Raises:
        DataError: if a value is no integer or lies outside a bound.
    """
    if np.any(x != np.round(x)):
        raise DataError(
            f"column {name!r} expects integers, got {x[x != np.round(x)][0]}: declare it 'continuous' or round it"
        )
    check_bounds(name, x, (x < low) | (x > high), f"outside its bounds ({low}, {high})")
    first = low if np.isfinite(low) else x.min()
    last = high if np.isfinite(high) else x.max()
    cells = last - first + 1
    if cells <= min(MAX_CELLS, max(MIN_CELLS, weights.sum() / ROWS_PER_CELL)):
        unseen = 1.0 / (weights.sum() + 1.0)
        tails = (0.0 if np.isfinite(low) else 0.5 * unseen), (0.0 if np.isfinite(high) else 0.5 * unseen)
        return fit_cells(x, weights, int(first), int(cells), *tails)
    # Noise in (0, 1) makes the largest value last + 1.
    dequantized = x + 0.5
    y, _ = unbound(dequantized, low, high + 1.0)
    return Dequantized(Continuous(low, high + 1.0, *moments(y, weights)))


def fit_cells(
    x: Array, weights: Array, first: int, count: int, lower_tail: float = 0.0, upper_tail: float = 0.0
) -> Cells:
    """Estimate the cells' probabilities, half a row added to each so that none is empty."""
    counts = np.bincount((x - first).astype(np.int64), weights=weights, minlength=count) + 0.5
    return Cells(first, counts / counts.sum() * (1.0 - lower_tail - upper_tail), lower_tail, upper_tail)


def moments(y: Array, weights: Array) -> tuple[float, float]:
    """The weighted mean and standard deviation; a standard deviation of zero counts as 1."""
    center = float(np.average(y, weights=weights))
    size = float(np.abs(y - center).max())
    if size == 0:
        return center, 1.0
    return center, size * float(np.sqrt(np.average(((y - center) / size) ** 2, weights=weights)))


def check_bounds(name: str, x: Array, wrong: NDArray[np.bool_], where: str) -> None:
    """Raise :class:`DataError` if any value is ``wrong``."""
    count = int(wrong.sum())
    if count:
        values, rows = ("1 value", "this row") if count == 1 else (f"{count} values", "these rows")
        first = x[wrong][0]
        raise DataError(f"column {name!r} has {values} {where}, such as {first}: widen bounds= or remove {rows}")
