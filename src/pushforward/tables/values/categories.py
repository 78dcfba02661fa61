"""Columns of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pushforward.tables.columns import Array
from pushforward.tables.labels import plain_labels, restored_dtype, restored_labels
from pushforward.tables.values.base import NotAColumn, Readers, without_categories


@Readers.register
class Labels:
    """Texts, booleans, categories or anything else that can be told apart, as their index; -1 is an unknown one.

    Args:
        labels: the known ones, in the order of their numbers.
        dtype: what they are written as.
    """

    def __init__(self, labels: pd.Index, dtype: Any) -> None:
        self.labels = labels
        self.dtype = dtype

    @classmethod
    def of(cls, values: pd.Series) -> Labels:
        """The labels of a column: its dtype's categories, or the values that occur, sorted.

        Raises:
            DataError: for values that cannot be told apart.
        """
        if isinstance(values.dtype, pd.CategoricalDtype):
            return cls(values.dtype.categories, values.dtype)
        try:
            labels = pd.Index(values.dropna().unique())
        except TypeError as error:
            kind = next(type(value).__name__ for value in values if type(value).__hash__ is None)
            raise NotAColumn(
                f"holds a {kind}: its argument must be a string or a number, or another value that can be told apart"
            ) from error
        try:
            return cls(labels.sort_values(), values.dtype)
        except TypeError:
            # Of several types, which have no order among each other.
            ordered = sorted(labels, key=lambda label: (type(label).__name__, str(label)))
            return cls(pd.Index(ordered, dtype=object), values.dtype)

    def read(self, values: pd.Series) -> Array:
        values = without_categories(values)
        try:
            index = self.labels.get_indexer(pd.Index(values)).astype(np.float64)
        except TypeError as error:
            raise NotAColumn("holds a value that cannot be compared with its categories") from error
        index[(index < 0) & values.isna().to_numpy()] = np.nan
        return np.asarray(index)

    def write(self, numbers: Array) -> pd.Series:
        missing = np.isnan(numbers)
        index = np.clip(np.where(missing, 0.0, numbers), 0, max(len(self.labels) - 1, 0)).astype(np.int64)
        if len(self.labels) == 0:
            return pd.Series([None] * len(numbers), dtype=object).astype(self.dtype)
        values = pd.Series(self.labels.take(index))
        if not missing.any():
            return values.astype(self.dtype)
        if isinstance(self.dtype, pd.CategoricalDtype):
            return values.astype(self.dtype).mask(missing)
        return values.astype(object).mask(missing, None).astype(self.dtype)

    def state(self) -> dict[str, Any]:
        ordered = bool(self.dtype.ordered) if isinstance(self.dtype, pd.CategoricalDtype) else None
        return {**plain_labels(self.labels), "written": str(self.dtype), "ordered": ordered}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Labels:
        labels = restored_labels(dict(state))
        if state["ordered"] is not None:
            return cls(labels, pd.CategoricalDtype(labels, ordered=state["ordered"]))
        return cls(labels, restored_dtype(state["written"]))
