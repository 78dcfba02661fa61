r"""The ends of a distribution: what lies beyond its outer knots.

A tail is told in outward coordinates ``y``: the value itself for the upper one, its negative for the lower one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from pushforward.tables.columns import Array

LEAST_FAR_INDEX = 0.5
FLAT = 1e-9
FARTHEST = 1e290


@dataclass(frozen=True)
class Tail(ABC):
    """One end of a distribution, from ``start`` outwards, with the probability ``mass``."""

    start: float
    mass: float
    kinds: ClassVar[dict[str, type[Tail]]] = {}

    def __init_subclass__(cls) -> None:
        Tail.kinds[cls.__name__] = cls

    @abstractmethod
    def log_survival(self, y: Array) -> Array:
        """The log-probability beyond ``y``, ``-inf`` at a bound."""

    @abstractmethod
    def log_density(self, y: Array) -> Array:
        """The log-density at ``y``."""

    @abstractmethod
    def inverse(self, log_survival: Array) -> Array:
        """Where a log-probability is left beyond."""

    def state(self) -> dict[str, Any]:
        """Its numbers with the name of its class."""
        return {"tail": type(self).__name__, **asdict(self)}

    @staticmethod
    def restored(state: Mapping[str, Any]) -> Tail:
        """The tail of a :meth:`state`."""
        return Tail.kinds[state["tail"]](**{key: value for key, value in state.items() if key != "tail"})


@dataclass(frozen=True)
class OpenTail(Tail):
    r"""A tail without end: ``S(y) = mass exp(-E(z))`` at ``z = (y - start) / scale``.

    With a positive ``index`` it is the generalised Pareto distribution, ``E = log(1 + index z) / index``; index 1 is
    Cauchy's, 0 the exponential. Below zero a generalised Pareto tail would end at a finite point and forbid what lies
    beyond. Here the hazard grows linearly instead, ``E = z - index z^2 / 2``, which is the tail of a normal
    distribution and agrees to second order. Beyond the point that a sample hardly ever reaches
    (``S = rare``) the tail goes on with an index of at least a half: one absurd value costs some tens of nats, not
    10^23, whatever the tail before it.

    Source: Pickands (1975), Annals of Statistics 3; Bain (1974), Technometrics 16, for the linear hazard.
    """

    scale: float
    index: float
    rare: float

    def log_survival(self, y: Array) -> Array:
        z = self._steps(y)
        near, far = np.minimum(z, self._far), np.maximum(z - self._far, 0.0)
        total = excess(near, self.index) + np.log1p(self._far_index * self._far_hazard * far) / self._far_index
        return np.asarray(np.log(self.mass) - total)

    def log_density(self, y: Array) -> Array:
        z = self._steps(y)
        near, far = np.minimum(z, self._far), np.maximum(z - self._far, 0.0)
        slower = np.log1p(self._far_index * self._far_hazard * far)
        return np.asarray(self.log_survival(y) + np.log(hazard(near, self.index)) - slower - np.log(self.scale))

    def inverse(self, log_survival: Array) -> Array:
        total = np.maximum(np.log(self.mass) - log_survival, 0.0)
        near = inverse_excess(np.minimum(total, self._far_excess), self.index)
        beyond = np.minimum(np.maximum(total - self._far_excess, 0.0) * self._far_index, 700.0)
        far = np.expm1(beyond) / (self._far_index * self._far_hazard)
        return np.asarray(self.start + self.scale * (near + far))

    def _steps(self, y: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.clip((y - self.start) / self.scale, 0.0, FARTHEST)

    @property
    def _far_excess(self) -> float:
        return max(float(np.log(self.mass / self.rare)), 0.0)

    @property
    def _far(self) -> float:
        return float(inverse_excess(np.float64(self._far_excess), self.index))

    @property
    def _far_hazard(self) -> float:
        return float(hazard(np.float64(self._far), self.index))

    @property
    def _far_index(self) -> float:
        return max(self.index, LEAST_FAR_INDEX)


@dataclass(frozen=True)
class Edge(Tail):
    """A tail that ends at a bound, whose outward value it is."""

    bound: float

    def _distance(self, y: Array) -> Array:
        """How far from the bound a value lies, in units of the tail's width."""
        return np.clip((self.bound - y) / (self.bound - self.start), 0.0, 1.0)


@dataclass(frozen=True)
class ExponentialEdge(Edge):
    r"""A tail up to a bound where the density is positive: log-linear, ``S = mass (e^(rise d) - 1) / (e^rise - 1)``.

    ``d = (bound - y) / (bound - start)`` is the distance from the bound in units of the tail's width. The density is
    uniform for a ``rise`` of 0, and highest at the bound where it is negative.
    """

    rise: float

    def log_survival(self, y: Array) -> Array:
        d = self._distance(y)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.mass) + np.log(self.share(d)))

    def log_density(self, y: Array) -> Array:
        level = np.log(self.mass / (self.bound - self.start)) - np.log(_mean_exponential(self.rise))
        return np.asarray(level + self.rise * self._distance(y))

    def inverse(self, log_survival: Array) -> Array:
        share = np.exp(np.minimum(log_survival - np.log(self.mass), 0.0))
        flat = abs(self.rise) < FLAT
        d = share if flat else np.log1p(share * np.expm1(self.rise)) / self.rise
        return np.asarray(self.bound - (self.bound - self.start) * d)

    def share(self, d: Array) -> Array:
        """The part of the mass within a distance from the bound."""
        return d if abs(self.rise) < FLAT else np.asarray(np.expm1(self.rise * d) / np.expm1(self.rise))


@dataclass(frozen=True)
class PowerEdge(Edge):
    r"""A tail up to a bound where the density vanishes or grows beyond all limits: ``S = mass d^exponent``.

    ``d = (bound - y) / (bound - start)``; the density goes as ``d^(exponent - 1)``, as a gamma's or a beta's does.
    """

    exponent: float

    def log_survival(self, y: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.mass) + self.exponent * np.log(self._distance(y)))

    def log_density(self, y: Array) -> Array:
        powers = (self.exponent - 1.0) * np.log(np.maximum(self._distance(y), np.finfo(np.float64).tiny))
        return np.asarray(np.log(self.mass * self.exponent / (self.bound - self.start)) + powers)

    def inverse(self, log_survival: Array) -> Array:
        d = np.exp(np.minimum(log_survival - np.log(self.mass), 0.0) / self.exponent)
        return np.asarray(self.bound - (self.bound - self.start) * d)


def excess(z: Any, index: float) -> Any:
    """The negative log-survival ``E(z)`` of an open tail."""
    if index > 1e-9:
        return np.log1p(index * z) / index
    return z - 0.5 * index * z * z


def hazard(z: Any, index: float) -> Any:
    """The hazard ``dE/dz`` of an open tail."""
    return 1.0 / (1.0 + index * z) if index > 1e-9 else 1.0 - index * z


def inverse_excess(excess: Any, index: float) -> Any:
    """Where ``E(z)`` has a value."""
    if index > 1e-9:
        return np.expm1(index * excess) / index
    # The root of a quadratic in the form that stays exact where the index goes to zero.
    return 2.0 * excess / (1.0 + np.sqrt(1.0 - 2.0 * index * excess))


def _mean_exponential(rise: float) -> float:
    """The mean of ``e^(rise d)`` over the unit interval."""
    return 1.0 if abs(rise) < FLAT else float(np.expm1(rise) / rise)
