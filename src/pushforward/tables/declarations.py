"""What the user says of a table's columns: bounds, circles, atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import UsageError
from pushforward.tables.columns import Array
from pushforward.tables.fields import Field
from pushforward.tables.table import Table, check_keys
from pushforward.tables.values.dates import Dates
from pushforward.tables.values.numbers import Numbers

BoundPair = tuple[float | None, float | None]
Circles = Mapping[Any, float | tuple[float, float]]


@dataclass(frozen=True)
class Declared:
    """What the user said of a column; None for what is to be found."""

    bounds: tuple[float, float] | None = None
    circle: tuple[float, float] | None = None
    atoms: Array | None = None


def declarations(
    table: Table,
    bounds: Mapping[Any, BoundPair] | None,
    circular: Circles | None,
    atoms: Mapping[Any, Sequence[float]] | None,
) -> dict[Any, Declared]:
    """What was said of each column.

    Raises:
        UsageError: for a column that is not there, or a pair that is none.
    """
    for option, mapping in (("bounds", bounds), ("circular", circular), ("atoms", atoms)):
        check_keys(option, mapping, table.names)
    found = {}
    for field in table.fields:
        pair = (bounds or {}).get(field.name)
        circle = (circular or {}).get(field.name)
        own = (atoms or {}).get(field.name)
        if circle is not None and not isinstance(circle, Sequence):
            circle = (0.0, circle)
        found[field.name] = Declared(
            None if pair is None else checked_pair("bounds", field, pair),
            None if circle is None else checked_circle(field, circle),
            None if own is None else checked_atoms(field, own),
        )
    return found


def checked_pair(option: str, field: Field, pair: Any) -> tuple[float, float]:
    """Return a pair of limits with infinities for None.

    Raises:
        UsageError: unless it is a pair with low < high.
    """
    try:
        low, high = pair
        low = -np.inf if low is None else number_of(field, low)
        high = np.inf if high is None else number_of(field, high)
    except (TypeError, ValueError):
        raise UsageError(f"{option}: column {field.name!r} expects a pair (low, high), got {pair!r}") from None
    if not low < high:
        raise UsageError(f"{option}: column {field.name!r} expects low < high, got {pair!r}")
    return low, high


def checked_circle(field: Field, circle: Any) -> tuple[float, float]:
    """Return where a circle's numbers begin and end.

    Raises:
        UsageError: unless both are finite and low < high.
    """
    low, high = checked_pair("circular", field, circle)
    if not np.isfinite([low, high]).all():
        raise UsageError(f"circular: column {field.name!r} expects a period, or (low, high), got {circle!r}")
    return low, high


def checked_atoms(field: Field, values: Any) -> Array:
    """Return atoms in increasing order.

    Raises:
        UsageError: unless they are numbers.
    """
    try:
        numbers = np.unique(np.array([number_of(field, value) for value in values], dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise UsageError(f"atoms: column {field.name!r} expects a list of numbers, got {values!r}")
    return numbers


def check_declared(field: Field, declared: Declared) -> None:
    """Raise :class:`UsageError` for options that a column of this kind has no use for."""
    if field.categories is not None:
        for option, value in (("bounds", declared.bounds), ("circular", declared.circle), ("atoms", declared.atoms)):
            if value is not None:
                raise UsageError(f"{option}: column {field.name!r} is categorical and has none")
    if declared.bounds is not None and declared.circle is not None:
        raise UsageError(f"column {field.name!r} is circular and has no bounds")


def number_of(field: Field, value: Any) -> float:
    """A value that the user gave, a number or a date, as the number that the column's field makes of it."""
    if isinstance(field.values, Dates):
        return float(field.read([value])[0])
    number = np.array([value], dtype=np.float64)
    return float(field.values.nearest(number)[0] if isinstance(field.values, Numbers) else number[0])
