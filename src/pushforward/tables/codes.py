"""The rows of a table as the real numbers that flows model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.tables.column_fits import fit_column
from pushforward.tables.columns import Array, Column, Mask, column_state, restored_column
from pushforward.tables.declarations import BoundPair, Circles, declarations
from pushforward.tables.fields import Field
from pushforward.tables.marginals.circular import Circle, Circular
from pushforward.tables.marginals.fits import NEVER_MISSING_ROWS
from pushforward.tables.marginals.missing import NeverMissing, WithMissing
from pushforward.tables.report import ColumnReport, ColumnReports
from pushforward.tables.table import Table


class LatentCode:
    """A table's rows as vectors of real numbers near standard normals, one for each column that is modelled.

    A constant column is a point mass: its value has probability 1, a missing one a tiny one, every other 0.
    Identifiers are not modelled and contribute nothing.

    Args:
        table: the layout of the table.
        numbers: the table as numbers, ``(n, columns)``, NaN where missing.
        weights: one for each row; together they are the number of rows that these count for.
        bounds: ``{column: (low, high)}``, either of them None; both belong to the support.
        circular: ``{column: (low, high)}``, or a period alone, of columns that go around a circle.
        atoms: ``{column: values}`` with a mass of their own, in place of those that would be found.

    Attributes:
        varying: the positions of the columns that are modelled.
        columns: their marginal distributions.
        report: how each of the table's columns is modelled.

    Raises:
        UsageError: for an option that does not fit its column.
        DataError: for values outside of declared bounds, or that are not whole in an ordinal column.

    Example:
        >>> numbers = np.random.default_rng(0).normal(size=(200, 2)).round(1) * np.array([10.0, 1.0])
        >>> code = LatentCode(Table(numbers), numbers, np.ones(200))
        >>> [report.kind for report in code.report], code.features, code.noises
        (['ordinal', 'continuous'], 2, 1)
        >>> codes, log_du = code.encode(numbers, np.full((200, 1), 0.5))
        >>> bool((abs(code.decode(codes) - numbers) < 1e-12).all())
        True
    """

    def __init__(
        self,
        table: Table,
        numbers: Array,
        weights: Array,
        bounds: Mapping[Any, BoundPair] | None = None,
        circular: Circles | None = None,
        atoms: Mapping[Any, Sequence[float]] | None = None,
    ) -> None:
        declared = declarations(table, bounds, circular, atoms)
        self.width = numbers.shape[1]
        self.varying: list[int] = []
        self.ignored: list[int] = []
        self.columns: list[Column] = []
        self.constants = numbers[0].copy()
        self.unseen = NEVER_MISSING_ROWS / (float(weights.sum()) + 1.0)
        reports = []
        for index, field in enumerate(table.fields):
            x = numbers[:, index]
            if field.kind == "id":
                self.ignored.append(index)
                reports.append(ColumnReport(field.name, "id", note=f"{field.why}; not modelled"))
            elif is_constant(field, x):
                reports.append(constant_report(field, x, weights))
            else:
                column, report = fit_column(field, x, weights, declared[field.name])
                self.varying.append(index)
                self.columns.append(column)
                reports.append(report)
        self.report = ColumnReports(_with_repeats(reports, numbers))

    @property
    def features(self) -> int:
        """How many numbers a row becomes."""
        return len(self.columns)

    @property
    def noises(self) -> int:
        """How many of them take noise."""
        return sum(column.discrete for column in self.columns)

    def encode(self, numbers: Array, noise: Array) -> tuple[Array, Array]:
        """Return codes ``(n, features)`` and the log-derivatives summed over them, ``-inf`` outside the support.

        ``noise`` in (0, 1) is ``(n, noises)``. Angles may be images of :meth:`images`.
        """
        log_du = self._log_constants(numbers)
        codes = np.empty((len(numbers), self.features))
        none = np.full(len(numbers), 0.5)
        used = 0
        for position, (index, column) in enumerate(zip(self.varying, self.columns)):
            own = noise[:, used] if column.discrete else none
            used += column.discrete
            codes[:, position], log_d = column.encode(numbers[:, index], own)
            log_du += log_d
        return codes, log_du

    def decode(self, codes: Array) -> Array:
        """Return the numbers ``(n, columns)`` of codes; NaN for missing values and identifiers."""
        numbers = np.repeat(self.constants[None], len(codes), axis=0)
        numbers[:, self.ignored] = np.nan
        for position, (index, column) in enumerate(zip(self.varying, self.columns)):
            numbers[:, index] = column.decode(codes[:, position])
        return numbers

    def noisy(self, numbers: Array) -> Mask:
        """Which rows have a density that is an integral over a cell, ``(n,)``; others need one point."""
        found = np.zeros(len(numbers), dtype=bool)
        for index, column in zip(self.varying, self.columns):
            if column.discrete:
                found |= column.noisy(numbers[:, index])
        return found

    def images(self, numbers: Array) -> tuple[NDArray[np.int64], Array]:
        """Return all images of rows with angles, and which row each is of.

        The density of a row is the sum of its images': an angle near the cut of its circle is both ``t`` and
        ``t + period`` on the line that the flow models. Where no column is circular the rows are their own images.
        """
        index, rows = np.arange(len(numbers)), numbers
        for column, circle in self._circles():
            first = rows.copy()
            first[:, column] = circle.principal(rows[:, column])
            doubled, second = circle.second(rows[:, column])
            more = first[doubled]
            more[:, column] = second[doubled]
            index, rows = np.concatenate([index, index[doubled]]), np.concatenate([first, more])
        return index, rows

    def draw_images(self, numbers: Array, rng: np.random.Generator) -> Array:
        """Return one image of each row, ``(n, columns)``, with the chances that the circles give them: to train on."""
        rows = numbers
        for column, circle in self._circles():
            first = circle.principal(rows[:, column])
            doubled, second = circle.second(first)
            taken = doubled & (rng.random(len(rows)) < circle.chance(second))
            rows = rows.copy()
            rows[:, column] = np.where(taken, second, first)
        return rows

    def written(self, numbers: Array) -> Array:
        """Return rows with every angle written between the ends of its circle, as they are drawn."""
        rows = numbers.copy()
        for column, circle in self._circles():
            rows[:, column] = circle.written(rows[:, column])
        return rows

    def state(self) -> dict[str, Any]:
        """All that defines it: plain values, arrays, and the columns' states."""
        names = ("width", "varying", "ignored", "constants", "unseen")
        columns = [column_state(column) for column in self.columns]
        reports = [report.state() for report in self.report]
        return {name: getattr(self, name) for name in names} | {"columns": columns, "report": reports}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> LatentCode:
        """The code of a :meth:`state`."""
        code = cls.__new__(cls)
        for name in ("width", "varying", "ignored", "unseen"):
            setattr(code, name, state[name])
        code.constants = np.asarray(state["constants"], dtype=np.float64)
        code.columns = [restored_column(column) for column in state["columns"]]
        code.report = ColumnReports(ColumnReport.restored(report) for report in state["report"])
        return code

    def _circles(self) -> list[tuple[int, Circle]]:
        inner = [
            (index, column.present if isinstance(column, WithMissing | NeverMissing) else column)
            for index, column in zip(self.varying, self.columns)
        ]
        return [(index, column.circle) for index, column in inner if isinstance(column, Circular)]

    def _log_constants(self, numbers: Array) -> Array:
        fixed = np.setdiff1d(np.arange(self.width), [*self.varying, *self.ignored])
        given, expected = numbers[:, fixed], self.constants[fixed]
        missing = np.isnan(given) & ~np.isnan(expected)
        same = (given == expected) | (np.isnan(given) & np.isnan(expected))
        return np.where((same | missing).all(1), np.log(self.unseen) * missing.sum(1), -np.inf)


def is_constant(field: Field, x: Array) -> bool:
    """Whether the column can only take one value, as far as the data shows; a missing one counts as one."""
    missing = np.isnan(x)
    if missing.any():
        return bool(missing.all())
    if field.categories is not None:
        return len(field.categories) == 1
    return bool(x.min() == x.max())


def constant_report(field: Field, x: Array, weights: Array) -> ColumnReport:
    """What there is to say of a column with one value."""
    missing = float(np.average(np.isnan(x), weights=weights))
    note = "all values are missing" if missing else f"every value is {_shown(field, x[0])}"
    return ColumnReport(field.name, "constant", missing=missing, note=note)


def _shown(field: Field, number: float) -> str:
    return f"{field.write(np.array([number])).iloc[0]}"


def _with_repeats(reports: list[ColumnReport], numbers: Array) -> list[ColumnReport]:
    """Tell of each column that repeats an earlier one."""
    first: dict[bytes, Any] = {}
    told = []
    for index, report in enumerate(reports):
        content = np.ascontiguousarray(numbers[:, index]).tobytes()
        earlier = first.setdefault(content, report.name)
        if index and report.kind not in ("constant", "id") and earlier != report.name:
            note = f"{report.note}; the same in every row as {earlier!r}"
            report = ColumnReport(**{**vars(report), "note": note})
        told.append(report)
    return told
