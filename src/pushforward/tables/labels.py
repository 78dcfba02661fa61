"""Column names, category labels and dtypes as plain values that JSON can hold, and back."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd

from pushforward.errors import UsageError


def plain_label(label: Any) -> Any:
    """Return a label as a plain value: ``[type, text]`` where JSON has no such type.

    Raises:
        UsageError: for a label of another type.

    Example:
        >>> plain_label("a"), plain_label(pd.Timestamp("2024-05-01")), plain_label((1, None))
        ('a', ['Timestamp', '2024-05-01T00:00:00'], ['tuple', [1, None]])
    """
    if isinstance(label, np.generic):
        label = label.item()
    if label is pd.NA or label is pd.NaT:
        return ["missing", str(label)]
    if label is None or isinstance(label, bool | int | float | str):
        return label
    if isinstance(label, tuple):
        return ["tuple", [plain_label(part) for part in label]]
    if isinstance(label, bytes):
        return ["bytes", label.hex()]
    if isinstance(label, pd.Timedelta):
        return ["Timedelta", label.isoformat()]
    if isinstance(label, pd.Timestamp | datetime.datetime | datetime.date):
        return [type(label).__name__, label.isoformat()]
    if isinstance(label, decimal.Decimal):
        return ["Decimal", str(label)]
    if isinstance(label, pd.Interval):
        return ["Interval", [plain_label(label.left), plain_label(label.right), label.closed]]
    raise UsageError(f"a label of type {type(label).__name__} cannot be saved: {label!r}; use a text or a number")


def restored_label(plain: Any) -> Any:
    """The label of a :func:`plain_label`."""
    if not isinstance(plain, list):
        return plain
    kind, content = plain
    match kind:
        case "missing":
            return pd.NA if content == "<NA>" else pd.NaT
        case "tuple":
            return tuple(restored_label(part) for part in content)
        case "bytes":
            return bytes.fromhex(content)
        case "Timedelta":
            return pd.Timedelta(content)
        case "Timestamp":
            return pd.Timestamp(content)
        case "datetime":
            return datetime.datetime.fromisoformat(content)
        case "date":
            return datetime.date.fromisoformat(content)
        case "Decimal":
            return decimal.Decimal(content)
        case _:
            left, right, closed = content
            return pd.Interval(restored_label(left), restored_label(right), closed)


def plain_labels(labels: pd.Index) -> dict[str, Any]:
    """An index with its dtype as plain values."""
    return {"labels": [plain_label(label) for label in labels], "dtype": str(labels.dtype)}


def restored_labels(plain: dict[str, Any]) -> pd.Index:
    """The index of :func:`plain_labels`."""
    labels = [restored_label(label) for label in plain["labels"]]
    if plain["dtype"].startswith("interval"):
        return pd.Index(pd.arrays.IntervalArray(labels))
    return pd.Index(labels, dtype=restored_dtype(plain["dtype"]))


def restored_dtype(name: str) -> Any:
    """The dtype that a text names."""
    return pd.api.types.pandas_dtype(name)
