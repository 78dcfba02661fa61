"""Columns that number or name the rows and say nothing else about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from pushforward.tables.columns import Array
from pushforward.tables.labels import restored_dtype
from pushforward.tables.values.base import Readers
from pushforward.tables.values.numbers import Numbers, numbers_of


@Readers.register
class Identifiers:
    """Identifiers: numbers go on where they ended when written, names are missing.

    Args:
        dtype: what they are written as.
        next_number: the first new one, None for names.
    """

    def __init__(self, dtype: Any, next_number: float | None) -> None:
        self.dtype = dtype
        self.next_number = next_number

    @classmethod
    def of(cls, values: pd.Series) -> Identifiers:
        """The identifiers that come after those of a column."""
        if not types.is_numeric_dtype(values.dtype):
            return cls(values.dtype, None)
        numbers = numbers_of(values)
        return cls(values.dtype, float(np.nanmax(numbers, initial=-1.0)) + 1.0)

    def read(self, values: pd.Series) -> Array:
        return np.full(len(values), np.nan) if self.next_number is None else numbers_of(values)

    def write(self, numbers: Array) -> pd.Series:
        if self.next_number is not None:
            return Numbers(self.dtype).write(self.next_number + np.arange(len(numbers), dtype=np.float64))
        return pd.Series([None] * len(numbers), dtype=object).astype(self.dtype)

    def state(self) -> dict[str, Any]:
        return {"dtype": str(self.dtype), "next_number": self.next_number}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Identifiers:
        return cls(restored_dtype(state["dtype"]), state["next_number"])
