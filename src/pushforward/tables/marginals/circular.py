"""A column of angles, hours or months: values around a circle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.tables.columns import Array, Column, Mask, column_state, restored_column

WINDOW = 1.0 / 8.0
CUTS = 64


class Circular(Column):
    r"""A circle, cut open and laid out with an overlap on both sides of the cut.

    An angle near the cut has two images, ``y`` and ``y + period``. A density ``q`` on the line that falls to zero at
    both ends of the overlap gives the circle ``p(theta) = sum_k q(theta + k period)``, which is continuous all around
    whatever ``q`` is. The line's distribution is that of one image for each angle, drawn with probabilities that
    change smoothly across the cut and sum to 1.

    Args:
        line: the column of the images.
        low: where the column's own numbers begin; values are written in ``[low, low + period)``.
        period: the circumference.
        cut: where the circle is cut, at its sparsest place.
        reach: how far images go beyond the cut.
    """

    def __init__(self, line: Column, low: float, period: float, cut: float, reach: float) -> None:
        self.line = line
        self.low = low
        self.period = period
        self.cut = cut
        self.reach = reach
        self.discrete = line.discrete

    def principal(self, x: Array) -> Array:
        """The image in ``[cut, cut + period)``."""
        turned = np.mod(x - self.cut, self.period)
        return np.asarray(self.cut + np.where(turned < self.period, turned, 0.0))

    def second(self, x: Array) -> tuple[Mask, Array]:
        """Which values near the cut have a second image, and that of each."""
        first = self.principal(x)
        after, before = first - self.cut < self.reach, self.cut + self.period - first < self.reach
        return after | before, first + np.where(after, self.period, -self.period)

    def chance(self, y: Array) -> Array:
        """The probability with which an image stands for its angle."""
        return np.asarray(self._rise(y - self.cut) - self._rise(y - self.cut - self.period))

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        laid_out = (x >= self.cut - self.reach) & (x <= self.cut + self.period + self.reach)
        return self.line.encode(np.where(laid_out, x, self.principal(x)), noise)

    def decode(self, u: Array) -> Array:
        turned = np.mod(self.line.decode(u) - self.low, self.period)
        return np.asarray(self.low + np.where(turned < self.period, turned, 0.0))

    def noisy(self, x: Array) -> Mask:
        return self.line.noisy(x)

    def state(self) -> dict[str, Any]:
        geometry = {"low": self.low, "period": self.period, "cut": self.cut, "reach": self.reach}
        return {"line": column_state(self.line), **geometry}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Circular:
        return cls(restored_column(state["line"]), **{key: state[key] for key in ("low", "period", "cut", "reach")})

    def _rise(self, distance: Array) -> Array:
        """From 0 to 1 across the cut, with ``rise(d) + rise(-d) = 1``."""
        return np.asarray(np.sin(0.25 * np.pi * (1.0 + np.clip(distance / self.reach, -1.0, 1.0))) ** 2)


def sparsest_cut(x: Array, weights: Array, low: float, period: float, whole: bool) -> float:
    """Where the circle has the fewest rows around it; between two whole numbers where all are whole."""
    if whole:
        cuts = low + np.arange(round(period)) - 0.5
    else:
        cuts = low + period * np.arange(CUTS) / CUTS
    turned = np.sort(np.mod(x - low, period))
    order = np.argsort(np.mod(x - low, period), kind="stable")
    mass = np.concatenate([[0.0], np.cumsum(weights[order])])
    total, reach = mass[-1], WINDOW * period

    def below(position: Any) -> Array:
        turns = np.floor(position / period)
        return np.asarray(turns * total + mass[np.searchsorted(turned, position - turns * period)])

    around = below(cuts - low + reach) - below(cuts - low - reach)
    return float(cuts[around.argmin()])
