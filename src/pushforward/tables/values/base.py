"""What every way to read and write a column's values can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import pandas as pd

from pushforward.errors import DataError
from pushforward.tables.columns import Array


class Values(Protocol):
    """One column's values as numbers and back; NaN is a missing one."""

    def read(self, values: pd.Series) -> Array:
        """Return the values as numbers, ``(n,)``.

        Raises:
            DataError: if a value is none that can be read so.
        """

    def write(self, numbers: Array) -> pd.Series:
        """Return numbers as values of the column's own dtype."""

    def state(self) -> dict[str, Any]:
        """All that defines it, in plain values."""

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Values:
        """The values of a :meth:`state`."""


class Readers:
    """The registry of ways to read values, by the names of their classes."""

    known: ClassVar[dict[str, type[Values]]] = {}

    @classmethod
    def register(cls, kind: type[Any]) -> type[Any]:
        """Make a class known by its name."""
        cls.known[kind.__name__] = kind
        return kind

    @classmethod
    def state(cls, values: Values) -> dict[str, Any]:
        """The state of values with the name of their class."""
        return {"values": type(values).__name__, **values.state()}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Values:
        """The values of a :meth:`state`."""
        return cls.known[state["values"]].restored(state)


class NotAColumn(DataError, TypeError):
    """A column holds objects that are neither numbers nor labels."""


def without_categories(values: pd.Series) -> pd.Series:
    """The values themselves of a column of pandas' categories, objects where no dtype of theirs holds missing ones."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return values
    integers = values.dtype.categories.dtype.kind in "iub"
    return values.astype(object if integers and values.isna().any() else values.dtype.categories.dtype)
