"""One column of a table: what kind it is, and its values as numbers and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array

KINDS = ("continuous", "ordinal", "categorical")


@dataclass
class Field:
    """How the values of one column are read and written: its name, kind, dtype, categories if it has any, and what
    errors call it."""

    name: Any
    kind: str
    dtype: Any
    categories: pd.Index | None
    role: str = "column"

    def read(self, values: Any) -> Array:
        """Return the values as numbers, categories as their index and -1 for an unknown one.

        Raises:
            DataError: if a column of numbers holds texts that are none.
        """
        if self.categories is None:
            return self._numbers(pd.Series(values))
        return self.categories.get_indexer(pd.Index(values)).astype(np.float64)

    def _numbers(self, values: pd.Series) -> Array:
        try:
            return pd.to_numeric(values).to_numpy(np.float64)
        except ValueError as error:
            wrong = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
            rows = f"{len(wrong)} of {len(values)} row{'s' * (len(values) > 1)}"
            raise DataError(
                f"{self.role} {self.name!r} expects numbers, got {wrong.iloc[0]!r} in {rows}: turn the values into "
                f"numbers or remove these rows"
            ) from error

    def write(self, numbers: Array) -> Any:
        """Return numbers as values of the column's own dtype."""
        if self.categories is not None:
            codes = np.clip(numbers.astype(np.int64), 0, len(self.categories) - 1)
            return pd.Series(self.categories.take(codes)).astype(self.dtype)
        kind = np.dtype(getattr(self.dtype, "numpy_dtype", self.dtype))
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            return pd.Series(np.clip(numbers, float(limits.min), float(limits.max)).astype(kind)).astype(self.dtype)
        return pd.Series(numbers).astype(self.dtype)

    def natural_bounds(self) -> tuple[float, float]:
        """The bounds that the dtype itself gives: no negative unsigned integers, no byte beyond 255."""
        kind = getattr(self.dtype, "numpy_dtype", self.dtype)
        if self.kind != "ordinal" or not isinstance(kind, np.dtype) or kind.kind not in "iu":
            return -np.inf, np.inf
        limits = np.iinfo(kind)
        return (
            float(limits.min) if kind.kind == "u" or kind.itemsize == 1 else -np.inf,
            float(limits.max) if kind.itemsize == 1 else np.inf,
        )


def describe(name: Any, values: Any, kind: str | None, role: str = "column") -> Field:
    """Return the field of one column.

    Raises:
        UsageError: for an unknown kind.
        DataError: for a dtype that is neither a number nor a category.
    """
    dtype = values.dtype
    kind = kind or natural_kind(name, values)
    if kind not in KINDS:
        raise UsageError(f"columns: {role} {name!r} expects one of {', '.join(KINDS)}, got {kind!r}")
    if kind != "categorical":
        return Field(name, kind, dtype if types.is_numeric_dtype(dtype) else np.dtype(np.float64), None, role)
    if isinstance(dtype, pd.CategoricalDtype):
        return Field(name, kind, dtype, dtype.categories, role)
    return Field(name, kind, dtype, pd.Index(pd.Series(values).dropna().unique()).sort_values(), role)


def natural_kind(name: Any, values: Any) -> str:
    """The kind that a dtype suggests."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) or types.is_bool_dtype(dtype):
        return "categorical"
    if types.is_integer_dtype(dtype):
        return "ordinal"
    if types.is_float_dtype(dtype):
        return "continuous"
    if isinstance(values, pd.Series) and (types.is_object_dtype(dtype) or types.is_string_dtype(dtype)):
        return "categorical"
    if dtype.kind in "US" or (dtype.kind == "O" and any(isinstance(value, str | bool) for value in values)):
        return "categorical"
    if dtype.kind == "O":
        # An array of objects may hold plain numbers; if not, this raises the usual TypeError.
        np.asarray(values).astype(np.float64)
        return "continuous"
    raise DataError(f"column {name!r} has dtype {dtype}: turn it into a number or a category first")
