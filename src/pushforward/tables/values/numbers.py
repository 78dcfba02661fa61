"""Columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from pushforward.errors import DataError
from pushforward.tables.columns import Array
from pushforward.tables.labels import restored_dtype
from pushforward.tables.values.base import Readers, without_categories


@Readers.register
class Numbers:
    """Numbers of any dtype: of numpy, nullable, of Arrow, decimals, and those that stand in a column of objects.

    Args:
        dtype: what they are written as, integers rounded; float64 for objects.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    @property
    def whole(self) -> bool:
        """Whether the dtype holds whole numbers only."""
        return bool(types.is_integer_dtype(self.dtype))

    def limits(self) -> tuple[float, float]:
        """The bounds that the dtype itself gives: no negative unsigned integers, no byte beyond 255."""
        kind = getattr(self.dtype, "numpy_dtype", self.dtype)
        if not isinstance(kind, np.dtype) or kind.kind not in "iu":
            return -np.inf, np.inf
        limits = np.iinfo(kind)
        low = float(limits.min) if kind.kind == "u" or kind.itemsize == 1 else -np.inf
        return low, float(limits.max) if kind.itemsize == 1 else np.inf

    def read(self, values: pd.Series) -> Array:
        return self.nearest(numbers_of(values))

    def nearest(self, numbers: Array) -> Array:
        """The numbers as a column of single or half precision holds them, in which 0.1 is not that of float64."""
        kind = getattr(self.dtype, "numpy_dtype", self.dtype)
        if not isinstance(kind, np.dtype) or kind.kind != "f" or kind.itemsize >= 8:
            return numbers
        with np.errstate(over="ignore"):
            held = numbers.astype(kind).astype(np.float64)
        return np.where(np.isinf(held), numbers, held)

    def write(self, numbers: Array) -> pd.Series:
        if not self.whole:
            return pd.Series(numbers).astype(self.dtype)
        limits = np.iinfo(getattr(self.dtype, "numpy_dtype", self.dtype))
        wide = np.uint64 if limits.min == 0 else np.int64
        missing = np.isnan(numbers)
        # The largest number of 64 bits is none of float64, which would round it up and out of range.
        high = float(limits.max) if limits.max < 2**53 else np.nextafter(float(limits.max), 0.0)
        rounded = np.clip(np.rint(np.where(missing, 0.0, numbers)), float(limits.min), high)
        whole = pd.Series(rounded.astype(wide))
        if missing.any():
            whole = whole.astype("UInt64" if limits.min == 0 else "Int64").mask(missing)
        return whole.astype(self.dtype)

    def state(self) -> dict[str, Any]:
        return {"dtype": str(self.dtype)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Numbers:
        return cls(restored_dtype(state["dtype"]))


def numbers_of(values: pd.Series) -> Array:
    """Return values as float64, NaN where missing.

    Raises:
        DataError: naming the first value that is no number.
    """
    values = without_categories(values)
    try:
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
            return values.to_numpy(np.float64)
        if types.is_object_dtype(values.dtype) or types.is_string_dtype(values.dtype):
            values = pd.to_numeric(values)
        return np.asarray(values.to_numpy(np.float64, na_value=np.nan))
    except (ValueError, TypeError) as error:
        wrong = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
        if len(wrong) == 0:
            raise DataError(f"expects numbers, got dtype {values.dtype}: turn the values into numbers") from error
        rows = f"{len(wrong)} of {len(values)} row{'s' * (len(values) > 1)}"
        raise DataError(
            f"expects numbers, got {wrong.iloc[0]!r} in {rows}: turn the values into numbers or remove these rows"
        ) from error
