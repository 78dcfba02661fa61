"""What kind of column one is, by its dtype and its values, or as it was declared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from pushforward.errors import DataError, UsageError
from pushforward.tables.values.base import NotAColumn, Values
from pushforward.tables.values.categories import Labels
from pushforward.tables.values.dates import Dates
from pushforward.tables.values.identifiers import Identifiers
from pushforward.tables.values.numbers import Numbers, numbers_of

KINDS = ("continuous", "ordinal", "categorical", "date", "id")

FEWEST_NAMES = 20
FEWEST_NUMBERS = 50
MOST_GAPS = 1.5
"""How many times over the numbers of rows may reach: some rows of a table may have been set aside, or lost."""
EXACT_INTEGERS = 2.0**53
OBJECTS = {
    "floating": "number",
    "integer": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "datetime": "date",
    "datetime64": "date",
    "date": "date",
    "timedelta": "date",
    "timedelta64": "date",
}
"""What pandas calls the content of a column of objects, where it is no category."""


def natural_kind(values: pd.Series) -> tuple[str, str]:
    """The kind of a column that nobody declared, and why.

    - Booleans, texts, pandas' categories and objects of mixed types are categorical. Texts that are all different, of
      20 rows or more, are ids.
    - Integers are ordinal, beyond 2^53 continuous, where floats do not tell neighbours apart. Integers that number the
      rows, 50 or more and each once with gaps for a third at
      most, are ids.
    - Floats are continuous, and ordinal where 20 or more are all whole numbers: so pandas stores integers with gaps.
    - Dates, times and durations are dates.
    - Objects are what they hold: numbers are as if they had the dtype of numbers.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) or types.is_bool_dtype(dtype):
        return "categorical", f"dtype {dtype}"
    if getattr(dtype, "kind", "O") in "mM":
        return "date", f"dtype {dtype}"
    content = OBJECTS.get(types.infer_dtype(values, skipna=True), "label") if types.is_object_dtype(dtype) else "number"
    if content == "date":
        return "date", "objects that are dates"
    if types.is_numeric_dtype(dtype) or (types.is_object_dtype(dtype) and content == "number"):
        return _kind_of_numbers(values)
    if types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        return _kind_of_labels(values)
    raise DataError(f"has dtype {dtype}: turn it into a number, a date or a category first")


def read_as(kind: str, values: pd.Series) -> Values:
    """How the values of a column of a kind are read and written.

    Raises:
        UsageError: for an unknown kind.
        DataError: where the values do not fit it.
    """
    match kind:
        case "continuous" | "ordinal":
            dtype = values.dtype
            plain = types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype)
            return Numbers(dtype if plain else np.dtype(np.float64))
        case "categorical":
            return Labels.of(values)
        case "date":
            return Dates.of(values)
        case "id":
            return Identifiers.of(values)
    raise UsageError(f"expects one of {', '.join(KINDS)}, got {kind!r}")


def _kind_of_numbers(values: pd.Series) -> tuple[str, str]:
    if types.is_complex_dtype(values.dtype):
        raise DataError(f"has dtype {values.dtype}: turn it into a number, a date or a category first")
    numbers = numbers_of(values)
    present = numbers[np.isfinite(numbers)]
    whole = bool((present == np.floor(present)).all()) and (len(present) == 0 or np.abs(present).max() < EXACT_INTEGERS)
    if types.is_integer_dtype(values.dtype):
        if len(present) == len(numbers) >= FEWEST_NUMBERS and _number_the_rows(present):
            return "id", "numbers the rows"
        if not whole:
            return "continuous", "whole numbers of more than 15 digits, to the nearest that a float holds"
        return "ordinal", "whole numbers"
    if whole and len(present) >= FEWEST_NAMES and present.min() < present.max():
        return "ordinal", "floats that are all whole numbers"
    return "continuous", f"dtype {values.dtype}"


def _kind_of_labels(values: pd.Series) -> tuple[str, str]:
    if types.is_object_dtype(values.dtype) and any(type(value).__hash__ is None for value in values):
        kind = next(type(value).__name__ for value in values if type(value).__hash__ is None)
        raise NotAColumn(
            f"holds a {kind}, whose argument must be a string or a number: make it a value of its own kind"
        )
    present = values.dropna()
    if len(present) >= FEWEST_NAMES and present.nunique() == len(present):
        return "id", "texts that are all different"
    return "categorical", "texts" if types.infer_dtype(present) == "string" else "objects"


def _number_the_rows(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    if numbers.max() - numbers.min() >= MOST_GAPS * len(numbers):
        return False
    return len(np.unique(numbers)) == len(numbers)
