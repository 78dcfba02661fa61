"""Tables, numpy arrays or data frames with columns of any kind, as numbers and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array
from pushforward.tables.fields import Field, describe

COLUMN, TARGET = "column", "target column"
"""What errors call a column; the values of a target may not be missing."""


class Table:
    """The layout of a table, taken from the one that an estimator is fitted on: its columns' names, kinds and dtypes.

    Args:
        data: a data frame or a two-dimensional array.
        kinds: ``{column: kind}`` where the kind that the values suggest (:func:`pushforward.tables.kinds.natural_kind`)
            is not meant, or one kind for all; columns by name, or by index for arrays.
        role: what errors call a column.
        missing: ``"model"``, or ``"error"`` to refuse tables with missing values.

    Raises:
        UsageError: for a kind that there is none, or a column that is not there.
        DataError: for values that are neither numbers nor dates nor labels.

    Example:
        >>> days = pd.to_datetime(["2024-05-01", "2024-05-01", "2024-05-03"])
        >>> frame = pd.DataFrame({"town": ["Ulm", None, "Bonn"], "day": days})
        >>> table = Table(frame)
        >>> table.read(frame)
        array([[ 1.,  0.],
               [nan,  0.],
               [ 0.,  2.]])
        >>> bool(table.write(table.read(frame)).equals(frame))
        True
    """

    def __init__(
        self,
        data: Any,
        kinds: Mapping[Any, str] | str | None = None,
        role: str = COLUMN,
        missing: str = "model",
    ) -> None:
        check_missing_option(missing)
        self.is_frame = isinstance(data, pd.DataFrame)
        self.dtype = None if self.is_frame else data.dtype
        self.missing = missing
        names = list(data.columns) if self.is_frame else list(range(data.shape[1]))
        if isinstance(kinds, str):
            kinds = dict.fromkeys(names, kinds)
        kinds = check_keys("columns", kinds, names)
        columns = zip(names, columns_of(data))
        if missing == "error":
            check_present(names, data, role)
        self.fields = [describe(name, values, kinds.get(name), role) for name, values in columns]

    @property
    def names(self) -> list[Any]:
        return [field.name for field in self.fields]

    def read(self, data: Any) -> Array:
        """Return the table as numbers ``(n, columns)``, NaN where a value is missing.

        Raises:
            DataError: if values are infinite, or missing where that is an error, naming the columns and how many.
        """
        if self.missing == "error":
            check_present(self.names, data, self.fields[0].role if self.fields else COLUMN)
        if len(self.fields) == 0 or data.shape[0] == 0:
            return np.zeros((data.shape[0], len(self.fields)))
        numbers = np.stack([field.read(values) for field, values in zip(self.fields, columns_of(data))], axis=1)
        infinite = {name: int(count) for name, count in zip(self.names, np.isinf(numbers).sum(0)) if count}
        if infinite:
            raise DataError(f"Input contains infinity: {counted(infinite, 'infinite')}: remove these rows")
        return numbers

    def write(self, numbers: Array) -> Any:
        """Return numbers ``(n, columns)`` as a table like the one that the layout was taken from."""
        columns = [field.write(numbers[:, index]) for index, field in enumerate(self.fields)]
        if self.is_frame:
            return pd.concat(columns, axis=1, keys=range(len(columns))).set_axis(self.names, axis=1)
        return np.stack([column.to_numpy() for column in columns], axis=1).astype(self.dtype)

    def state(self) -> dict[str, Any]:
        """All that defines it, in plain values."""
        dtype = None if self.dtype is None else str(self.dtype)
        return {"fields": [field.state() for field in self.fields], "dtype": dtype, "missing": self.missing}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Table:
        """The layout of a :meth:`state`."""
        table = cls.__new__(cls)
        table.fields = [Field.restored(field) for field in state["fields"]]
        table.is_frame = state["dtype"] is None
        table.dtype = None if table.is_frame else np.dtype(state["dtype"])
        table.missing = state["missing"]
        return table


def check_missing_option(missing: str) -> None:
    """Raise :class:`UsageError` unless it is one of the two words."""
    if missing not in ("model", "error"):
        raise UsageError(f"missing expects 'model' or 'error', got {missing!r}")


def columns_of(data: Any) -> list[Any]:
    """The columns of a data frame or array."""
    count = data.shape[1]
    if isinstance(data, pd.DataFrame):
        return [data.iloc[:, index] for index in range(count)]
    return [data[:, index] for index in range(count)]


def check_present(names: list[Any], data: Any, role: str) -> None:
    """Raise :class:`DataError` if values are missing, naming the columns and how many, and what can be done."""
    missing = {name: int(pd.isna(column).sum()) for name, column in zip(names, columns_of(data))}
    missing = {name: count for name, count in missing.items() if count}
    if missing:
        raise DataError(
            f"Input contains NaN: {counted(missing, 'missing', role)}: remove these rows, or fill them in"
            + ("" if role == TARGET else ", or let missing='model' model them")
        )


def counted(counts: Mapping[Any, int], what: str, role: str = COLUMN) -> str:
    """For instance ``column 'age' has 3 missing values, column 'b' 1``."""
    shown = [f"{role} {name!r} {'has ' if not i else ''}{count}" for i, (name, count) in enumerate(counts.items())]
    shown[0] += f" {what} value{'s' if next(iter(counts.values())) > 1 else ''}"
    more = f" and {len(shown) - 10} columns more" if len(shown) > 10 else ""
    return ", ".join(shown[:10]) + more


def check_keys(option: str, mapping: Mapping[Any, Any] | None, names: list[Any]) -> Mapping[Any, Any]:
    """Raise :class:`UsageError` unless it is a mapping whose every key is a column."""
    if not isinstance(mapping or {}, Mapping):
        raise UsageError(f"{option} expects a mapping from columns, got {mapping!r}")
    unknown = [key for key in mapping or {} if key not in names]
    if unknown:
        raise UsageError(f"{option}: there is no column {unknown[0]!r}; the columns are {names[:20]}")
    return mapping or {}
