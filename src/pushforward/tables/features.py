"""The rows of a table as the inputs of a network."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pushforward.errors import DataWarning
from pushforward.tables.codes import constant_report, is_constant
from pushforward.tables.column_fits import fit_column
from pushforward.tables.columns import Array, Column, column_state, restored_column
from pushforward.tables.declarations import Circles, Declared, declarations
from pushforward.tables.fields import Field
from pushforward.tables.marginals.missing import NeverMissing, WithMissing
from pushforward.tables.report import ColumnReport, ColumnReports
from pushforward.tables.table import Table
from pushforward.tables.values.identifiers import Identifiers

MOST_CATEGORIES = 64
FARTHEST_SCORE = 5.0


class Feature(ABC):
    """How one column is shown to a network."""

    kinds: ClassVar[dict[str, type[Feature]]] = {}

    def __init_subclass__(cls) -> None:
        Feature.kinds[cls.__name__] = cls

    @abstractmethod
    def encode(self, x: Array) -> Array:
        """Return the inputs ``(n, k)`` of values ``(n,)``, zeros where one is missing."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that defines it."""

    @classmethod
    @abstractmethod
    def restored(cls, state: Mapping[str, Any]) -> Feature:
        """The feature of a :meth:`state`."""


class Score(Feature):
    """A number by its normal score, at most 5 from the middle; so no outlier can lie far from all others."""

    def __init__(self, column: Column) -> None:
        self.column = column

    def encode(self, x: Array) -> Array:
        u, log_du = self.column.encode(x, np.full(len(x), 0.5))
        # What is outside the support has no score; the column's own end on that side is the nearest.
        ends = self.column.decode(np.array([-FARTHEST_SCORE, FARTHEST_SCORE]))
        outside = np.isneginf(log_du) & ~np.isnan(x)
        u = np.where(outside, np.where(x > ends[1], FARTHEST_SCORE, np.where(x < ends[0], -FARTHEST_SCORE, u)), u)
        return np.where(np.isnan(x), 0.0, np.clip(u, -FARTHEST_SCORE, FARTHEST_SCORE))[:, None]

    def state(self) -> dict[str, Any]:
        return {"column": column_state(self.column)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Score:
        return cls(restored_column(state["column"]))


class Angle(Feature):
    """A position on a circle by its cosine and sine."""

    def __init__(self, low: float, period: float) -> None:
        self.low = low
        self.period = period

    def encode(self, x: Array) -> Array:
        turn = 2.0 * np.pi * (np.nan_to_num(x) - self.low) / self.period
        return np.where(np.isnan(x)[:, None], 0.0, np.stack([np.cos(turn), np.sin(turn)], axis=1))

    def state(self) -> dict[str, Any]:
        return {"low": self.low, "period": self.period}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Angle:
        return cls(state["low"], state["period"])


class OneHot(Feature):
    """A category by an input of its own; of more than 64 the most frequent have one, and others zeros."""

    def __init__(self, chosen: Array) -> None:
        self.chosen = np.asarray(chosen, dtype=np.float64)

    @classmethod
    def fitted(cls, x: Array, weights: Array, count: int) -> OneHot:
        """Choose the categories, of ``count``, that have an input."""
        if count <= MOST_CATEGORIES:
            return cls(np.arange(count, dtype=np.float64))
        present = ~np.isnan(x)
        rows = np.bincount(x[present].astype(np.int64), weights=weights[present], minlength=count)
        return cls(np.sort(np.argsort(-rows, kind="stable")[:MOST_CATEGORIES]).astype(np.float64))

    def encode(self, x: Array) -> Array:
        return (x[:, None] == self.chosen).astype(np.float64)

    def state(self) -> dict[str, Any]:
        return {"chosen": self.chosen}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> OneHot:
        return cls(state["chosen"])


class Present(Feature):
    """Another feature, with an input more that is 1 where the value is missing."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature

    def encode(self, x: Array) -> Array:
        return np.concatenate([self.feature.encode(x), np.isnan(x)[:, None].astype(np.float64)], axis=1)

    def state(self) -> dict[str, Any]:
        return {"feature": feature_state(self.feature)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Present:
        return cls(restored_feature(state["feature"]))


class FeatureCode:
    """A table's rows as the inputs of a network.

    Numbers and dates by their normal scores, positions on circles by cosine and sine, categories one-hot, all of them
    with an indicator where values were missing; a category that was not there when fitting has zeros, with one warning
    for a table. Constants and texts that name the rows are left out; numbers that number them may be a time and stay.

    Args:
        table: the layout of the table.
        numbers: the table as numbers, ``(n, columns)``, NaN where missing.
        weights: one for each row; together they are the number of rows that these count for.
        circular: ``{column: (low, high)}``, or a period alone, of columns that go around a circle.

    Attributes:
        features: how many inputs a row becomes.
        report: how each of the table's columns is seen.

    Example:
        >>> numbers = np.array([[1.0, 0.0], [2.0, 6.0], [np.nan, 12.0]])
        >>> code = FeatureCode(Table(numbers), numbers, np.ones(3), circular={1: 24})
        >>> code.encode(numbers)[:, 1:].round(3) + 0.0
        array([[ 0.,  1.,  0.],
               [ 0.,  0.,  1.],
               [ 1., -1.,  0.]])
    """

    def __init__(
        self,
        table: Table,
        numbers: Array,
        weights: Array,
        circular: Circles | None = None,
    ) -> None:
        declared = declarations(table, None, circular, None)
        self.inputs: list[tuple[int, Feature]] = []
        self.categories = {i: str(field.name) for i, field in enumerate(table.fields) if field.categories is not None}
        reports = []
        for index, field in enumerate(table.fields):
            x = numbers[:, index]
            if isinstance(field.values, Identifiers) and field.values.next_number is None:
                reports.append(ColumnReport(field.name, "id", note=f"{field.why}; left out"))
            elif is_constant(field, x):
                reports.append(constant_report(field, x, weights))
            else:
                feature, report = fit_feature(field, x, weights, declared[field.name])
                self.inputs.append((index, feature))
                reports.append(report)
        self.report = ColumnReports(reports)
        self.features = self._encode(numbers[:1]).shape[1]

    def encode(self, numbers: Array) -> Array:
        """Return the inputs ``(n, features)``."""
        unknown = {name: int((numbers[:, index] < 0).sum()) for index, name in self.categories.items()}
        told = [f"column {name!r} has {count}" for name, count in unknown.items() if count]
        if told:
            warnings.warn(
                f"{', '.join(told)} values that are none of the categories of the fit: they count as none of them",
                DataWarning,
                stacklevel=3,
            )
        return self._encode(numbers)

    def state(self) -> dict[str, Any]:
        """All that defines it."""
        inputs = [{"index": index, **feature_state(feature)} for index, feature in self.inputs]
        categories = [[index, name] for index, name in self.categories.items()]
        reports = [report.state() for report in self.report]
        return {"inputs": inputs, "categories": categories, "features": self.features, "report": reports}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> FeatureCode:
        """The code of a :meth:`state`."""
        code = cls.__new__(cls)
        code.inputs = [(entry["index"], restored_feature(entry)) for entry in state["inputs"]]
        code.categories = dict(state["categories"])
        code.features = state["features"]
        code.report = ColumnReports(ColumnReport.restored(report) for report in state["report"])
        return code

    def _encode(self, numbers: Array) -> Array:
        blocks = [feature.encode(numbers[:, index]) for index, feature in self.inputs]
        return np.concatenate([np.zeros((len(numbers), 0)), *blocks], axis=1)


def fit_feature(field: Field, x: Array, weights: Array, declared: Declared) -> tuple[Feature, ColumnReport]:
    """Choose how a column is shown by its kind, and say so."""
    column, report = fit_column(field, x, weights, declared)
    if field.categories is not None:
        feature: Feature = OneHot.fitted(x, weights, len(field.categories))
    elif declared.circle is not None:
        feature = Angle(declared.circle[0], declared.circle[1] - declared.circle[0])
    else:
        feature = Score(column.present if isinstance(column, WithMissing | NeverMissing) else column)
    return (Present(feature) if np.isnan(x).any() else feature), report


def feature_state(feature: Feature) -> dict[str, Any]:
    """A feature's state with the name of its class."""
    return {"feature_kind": type(feature).__name__, "state": feature.state()}


def restored_feature(state: Mapping[str, Any]) -> Feature:
    """The feature of a :func:`feature_state`."""
    return Feature.kinds[state["feature_kind"]].restored(state["state"])
