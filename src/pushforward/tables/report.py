"""What an estimator says of a table's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.tables.labels import plain_label, restored_label

ATOMS_SHOWN = 4


@dataclass(frozen=True)
class ColumnReport:
    """How one column is modelled.

    Attributes:
        name: of the column.
        kind: ``continuous``, ``ordinal``, ``categorical``, ``circular``, ``date``, ``id`` or ``constant``.
        low, high: its bounds, infinite for none; of a circle, where its numbers begin and end.
        atoms: the values of a continuous column that have a mass of their own.
        missing: the share of missing values.
        note: how the kind was found, and what there is to know.
    """

    name: Any
    kind: str
    low: float = -np.inf
    high: float = np.inf
    atoms: tuple[float, ...] = ()
    missing: float = 0.0
    note: str = ""

    def state(self) -> dict[str, Any]:
        """All of it in plain values."""
        return vars(self) | {"name": plain_label(self.name), "atoms": list(self.atoms)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> ColumnReport:
        """The report of a :meth:`state`."""
        own = {"name": restored_label(state["name"]), "atoms": tuple(state["atoms"])}
        return cls(**{**state, **own})

    @property
    def cells(self) -> tuple[str, ...]:
        """What a table of columns shows of it."""
        bounds = "" if np.isinf([self.low, self.high]).all() else f"[{self.low:.6g}, {self.high:.6g}]"
        shown = ", ".join(f"{atom:.6g}" for atom in self.atoms[:ATOMS_SHOWN])
        atoms = shown if len(self.atoms) <= ATOMS_SHOWN else f"{shown}, ... ({len(self.atoms)})"
        missing = f"{100 * self.missing:.3g} %" if self.missing else ""
        return str(self.name), self.kind, bounds, atoms, missing, self.note


class ColumnReports(tuple[ColumnReport, ...]):
    """The reports of all columns, shown as a table; one of them by its position or by the column's name.

    Example:
        >>> ColumnReports([ColumnReport("age", "ordinal", 0.0, note="counts begin at 0")])
        column  kind     bounds    atoms  missing  note
        age     ordinal  [0, inf]                  counts begin at 0
    """

    HEADINGS = ("column", "kind", "bounds", "atoms", "missing", "note")

    def of(self, name: Any) -> ColumnReport:
        """The report of a column.

        Raises:
            KeyError: if there is none of this name.
        """
        for report in self:
            if report.name == name:
                return report
        raise KeyError(name)

    def __repr__(self) -> str:
        rows = [self.HEADINGS, *(report.cells for report in self)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.HEADINGS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join(lines)
