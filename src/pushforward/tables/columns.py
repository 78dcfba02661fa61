"""How one column of a table becomes a real number that a flow can model, with the exact log-derivative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOG_SQRT_TWO_PI = 0.5 * np.log(2 * np.pi)


class Column(ABC):
    r"""The marginal distribution of one column, as a map to a real number near a standard normal.

    ``u = Phi^-1(F(x))`` where the distribution function ``F`` is continuous. Where it jumps, at a point mass, the
    value is a cell of the unit interval as wide as its mass ``m``: ``u = Phi^-1(F(x-) + noise m)``, and ``log_du`` is
    ``log m - log phi(u)``, so that ``log phi(u) + log_du`` is the log-density with respect to the mixed measure:
    Lebesgue's on the continuous part, counting on the atoms.

    Attributes:
        discrete: whether any value uses its noise.
    """

    discrete: bool
    kinds: ClassVar[dict[str, type[Column]]] = {}

    def __init_subclass__(cls) -> None:
        Column.kinds[cls.__name__] = cls

    @abstractmethod
    def encode(self, x: Array, noise: Array) -> tuple[Array, Array]:
        """Return ``u`` and ``log_du``, both ``(n,)``; a value outside the support gets ``u = 0`` and ``-inf``.

        Args:
            x: values, ``(n,)``.
            noise: in (0, 1), ``(n,)``; where in its cell a value lies.
        """

    @abstractmethod
    def decode(self, u: Array) -> Array:
        """Return the values whose codes are ``u``, without their noise."""

    @abstractmethod
    def noisy(self, x: Array) -> Mask:
        """Which values are point masses and so use their noise."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that defines the column: plain values, arrays, and other columns' states."""

    @classmethod
    @abstractmethod
    def restored(cls, state: Mapping[str, Any]) -> Column:
        """The column of a :meth:`state`."""


def column_state(column: Column) -> dict[str, Any]:
    """A column's state with the name of its class, from which :func:`restored_column` rebuilds it."""
    return {"column": type(column).__name__, **column.state()}


def restored_column(state: Mapping[str, Any]) -> Column:
    """The column of a :func:`column_state`."""
    return Column.kinds[state["column"]].restored(state)


def log_normal(u: Array) -> Array:
    """The log-density of the standard normal."""
    return -0.5 * u * u - LOG_SQRT_TWO_PI
