"""Of what kind a regressor's targets are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pandas.api import types

from pushforward.errors import DataError, UsageError
from pushforward.tables.table import Table, columns_of


def kinds_of_targets(target: Any, kinds: Mapping[Any, str] | None) -> dict[Any, str]:
    """Every target's kind where it is not what its values suggest: numbers are continuous, integers too.

    Raises:
        UsageError: for a kind that no target can have.
    """
    wrong = [kind for kind in (kinds or {}).values() if kind not in ("continuous", "ordinal", "categorical")]
    if wrong:
        raise UsageError(f"target_columns expects 'continuous', 'ordinal' or 'categorical', got {wrong[0]!r}")
    names = list(target.columns) if hasattr(target, "columns") else list(range(target.shape[1]))
    numbers = [
        name
        for name, values in zip(names, columns_of(target))
        if types.is_numeric_dtype(values.dtype) and not types.is_bool_dtype(values.dtype)
    ]
    return dict.fromkeys(numbers, "continuous") | dict(kinds or {})


def check_targets(target: Table) -> None:
    """Raise :class:`DataError` for a target that is neither numbers nor classes."""
    for field in target.fields:
        if field.kind == "date":
            raise DataError(
                f"{field.role} {field.name!r} expects numbers or classes, got dates: turn them into a number, such as "
                f"days since a day"
            )
        if field.kind == "id":
            raise DataError(
                f"{field.role} {field.name!r} expects numbers or classes, got {field.why}: declare it 'categorical' in "
                f"target_columns if they are classes"
            )
