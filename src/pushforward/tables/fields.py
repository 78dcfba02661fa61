"""One column of a table: what kind it is, and its values as numbers and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array
from pushforward.tables.kinds import natural_kind, read_as
from pushforward.tables.labels import plain_label, restored_label
from pushforward.tables.values.base import NotAColumn, Readers, Values
from pushforward.tables.values.categories import Labels


@dataclass
class Field:
    """How the values of one column are read and written.

    Attributes:
        name: of the column.
        kind: one of ``continuous``, ``ordinal``, ``categorical``, ``date``, ``id``.
        values: how they become numbers.
        why: what the kind was seen by, or that it was declared.
        role: what errors call it.
    """

    name: Any
    kind: str
    values: Values
    why: str
    role: str = "column"

    @property
    def categories(self) -> pd.Index | None:
        """The labels of a categorical column."""
        return self.values.labels if isinstance(self.values, Labels) else None

    @property
    def declared(self) -> bool:
        """Whether the user said of what kind it is."""
        return self.why == DECLARED

    def read(self, values: Any) -> Array:
        """Return the values as numbers: NaN for missing ones, categories as their index and -1 for an unknown one.

        Raises:
            DataError: if a column of numbers holds texts that are none.
        """
        try:
            return self.values.read(pd.Series(values))
        except DataError as error:
            raise type(error)(f"{self.role} {self.name!r} {error}") from error

    def write(self, numbers: Array) -> Any:
        """Return numbers as values of the column's own dtype."""
        return self.values.write(numbers)

    def state(self) -> dict[str, Any]:
        """All that defines it, in plain values."""
        own = {"kind": self.kind, "why": self.why, "role": self.role}
        return {"name": plain_label(self.name), **own, **Readers.state(self.values)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Field:
        """The field of a :meth:`state`."""
        name = restored_label(state["name"])
        return cls(name, state["kind"], Readers.restored(state), state["why"], state["role"])


DECLARED = "declared"


def describe(name: Any, values: Any, kind: str | None, role: str = "column") -> Field:
    """Return the field of one column.

    Raises:
        UsageError: for an unknown kind.
        DataError: for values that are neither numbers nor dates nor labels.
    """
    series = pd.Series(values)
    try:
        kind, why = natural_kind(series) if kind is None else (kind, DECLARED)
        return Field(name, kind, read_as(kind, series), why, role)
    except UsageError as error:
        raise UsageError(f"columns: {role} {name!r} {error}") from error
    except (DataError, NotAColumn) as error:
        raise type(error)(f"{role} {name!r} {error}") from error
