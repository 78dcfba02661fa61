"""A column of angles, hours or months: values around a circle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pushforward.tables.columns import Array, Column, Mask, column_state, restored_column

WINDOW = 1.0 / 8.0
CUTS = 64


@dataclass(frozen=True)
class Circle:
    """A circle, cut open and laid out on the line with an overlap on both sides of the cut.

    Attributes:
        low: where the column's own numbers begin; values are written in ``[low, low + period)``.
        period: the circumference.
        cut: where it is cut.
        reach: how far images go beyond the cut.
    """

    low: float
    period: float
    cut: float
    reach: float

    def principal(self, x: Array) -> Array:
        """The image in ``[cut, cut + period)``."""
        return self._turned(x, self.cut)

    def written(self, x: Array) -> Array:
        """The value in ``[low, low + period)``."""
        return self._turned(x, self.low)

    def laid_out(self, x: Array) -> Array:
        """The images that values are, and the principal ones of those beyond the ends."""
        inside = (x >= self.cut - self.reach) & (x <= self.cut + self.period + self.reach)
        return np.where(inside, x, self.principal(x))

    def second(self, x: Array) -> tuple[Mask, Array]:
        """Which values near the cut have a second image, and that of each."""
        first = self.principal(x)
        after, before = first - self.cut < self.reach, self.cut + self.period - first < self.reach
        return after | before, first + np.where(after, self.period, -self.period)

    def chance(self, y: Array) -> Array:
        """The probability with which an image stands for its angle: smooth, and 1 in all for each angle."""
        return np.asarray(self._rise(y - self.cut) - self._rise(y - self.cut - self.period))

    def _rise(self, distance: Array) -> Array:
        """From 0 to 1 across the cut, with ``rise(d) + rise(-d) = 1``."""
        return np.asarray(np.sin(0.25 * np.pi * (1.0 + np.clip(distance / self.reach, -1.0, 1.0))) ** 2)

    def _turned(self, x: Array, start: float) -> Array:
        turned = np.mod(x - start, self.period)
        # A tiny negative number is rounded up to the period itself.
        return np.asarray(start + np.where(turned == self.period, 0.0, turned))


class Circular(Column):
    r"""A column around a circle, by the distribution of its images on the line.

    An angle near the cut has two images, ``y`` and ``y + period``. A density ``q`` on the line that falls to zero at
    both ends of the overlap gives the circle ``p(theta) = sum_k q(theta + k period)``, which is continuous all around
    whatever ``q`` is. It is fitted to one image of each angle, with chances that change smoothly across the cut.

    Args:
        line: the column of the images.
        circle: how the circle is laid out.

    Example:
        >>> circle = Circle(low=0.0, period=24.0, cut=4.0, reach=3.0)
        >>> circle.principal(np.array([23.0, 1.0])), circle.second(np.array([5.0, 12.0]))
        (array([23., 25.]), (array([ True, False]), array([ 29., -12.])))
    """

    def __init__(self, line: Column, circle: Circle) -> None:
        self.line = line
        self.circle = circle
        self.discrete = line.discrete

    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        return self.line.encode(self.circle.laid_out(x), noise)

    def decode(self, u: Array) -> Array:
        return self.circle.written(self.line.decode(u))

    def noisy(self, x: Array) -> Mask:
        return self.line.noisy(self.circle.laid_out(x))

    def state(self) -> dict[str, Any]:
        return {"line": column_state(self.line), **asdict(self.circle)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Circular:
        circle = Circle(state["low"], state["period"], state["cut"], state["reach"])
        return cls(restored_column(state["line"]), circle)


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
