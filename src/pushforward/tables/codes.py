"""The rows of a table as the real numbers that flows model and networks take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array, Column, fit_cells, fit_continuous, fit_integers
from pushforward.tables.fields import Field
from pushforward.tables.table import Table, check_keys

BoundPair = tuple[float | None, float | None]


class LatentCode:
    """A table's rows as vectors of real numbers that a flow models, one for each column that is not constant.

    A constant column is a point mass: its value has probability 1, every other 0.

    Args:
        table: the layout of the table.
        numbers: the table as numbers, ``(n, columns)``.
        weights: one for each row.
        bounds: ``{column: (low, high)}``, either of them None.
    """

    def __init__(self, table: Table, numbers: Array, weights: Array, bounds: Mapping[Any, BoundPair] | None) -> None:
        limits = check_bound_pairs(check_keys("bounds", bounds, table.names))
        self.width = numbers.shape[1]
        self.varying: list[int] = []
        self.columns: list[Column] = []
        self.constants = numbers[0].copy()
        for index, field in enumerate(table.fields):
            x = numbers[:, index]
            column = fit_column(field, x, weights, limits.get(field.name))
            if is_constant(field, x):
                continue
            self.varying.append(index)
            self.columns.append(column)

    @property
    def features(self) -> int:
        """How many numbers a row becomes."""
        return len(self.columns)

    @property
    def noises(self) -> int:
        """How many of them take noise."""
        return sum(column.discrete for column in self.columns)

    def images(self, numbers: Array) -> tuple[NDArray[np.int64], Array]:
        """Return all images of rows, ``(m, columns)``, and which row each is of."""
        return np.arange(len(numbers)), numbers

    def noisy(self, numbers: Array) -> NDArray[np.bool_]:
        """Which rows' density is an integral over cells."""
        return np.full(len(numbers), self.noises > 0)

    def encode(self, numbers: Array, noise: Array) -> tuple[Array, Array]:
        """Return codes ``(n, features)`` and the log-derivatives summed over them, ``-inf`` outside the support.

        ``noise`` in (0, 1) is ``(n, noises)``.
        """
        fixed = np.setdiff1d(np.arange(self.width), self.varying)
        possible = (numbers[:, fixed] == self.constants[fixed]).all(1)
        log_du = np.where(possible, 0.0, -np.inf)
        codes = np.empty((len(numbers), self.features))
        used = 0
        for position, (index, column) in enumerate(zip(self.varying, self.columns)):
            own = noise[:, used] if column.discrete else noise[:, :0]
            used += column.discrete
            codes[:, position], log_d = column.encode(numbers[:, index], own)
            log_du = log_du + log_d
        return codes, log_du

    def decode(self, codes: Array) -> Array:
        """Return the numbers ``(n, columns)`` of codes."""
        numbers = np.repeat(self.constants[None], len(codes), axis=0)
        for position, (index, column) in enumerate(zip(self.varying, self.columns)):
            numbers[:, index] = column.decode(codes[:, position])
        return numbers


class FeatureCode:
    """A table's rows as the inputs of a network: numbers standardised, categories one-hot, constants left out.

    Args:
        table: the layout of the table.
        numbers: the table as numbers, ``(n, columns)``.
        weights: one for each row.
    """

    def __init__(self, table: Table, numbers: Array, weights: Array) -> None:
        self.table = table
        self.constant = [is_constant(field, numbers[:, i]) for i, field in enumerate(table.fields)]
        self.columns = [fit_continuous(field.name, numbers[:, i], weights) for i, field in enumerate(table.fields)]
        self.features = self.encode(numbers[:1]).shape[1]

    def encode(self, numbers: Array) -> Array:
        """Return the inputs ``(n, features)``.

        Raises:
            DataError: if a category was not there when fitting.
        """
        blocks = [np.zeros((len(numbers), 0))]
        for index, (field, column, constant) in enumerate(zip(self.table.fields, self.columns, self.constant)):
            x = numbers[:, index]
            if field.categories is not None and (x < 0).any():
                raise DataError(
                    f"column {field.name!r} has {int((x < 0).sum())} values that are none of the "
                    f"{len(field.categories)} categories it was fitted on: remove these rows or fit again"
                )
            if constant:
                continue
            if field.categories is not None:
                blocks.append(np.eye(len(field.categories))[x.astype(np.int64)])
            else:
                blocks.append(column.encode(x, x)[0][:, None])
        return np.concatenate(blocks, axis=1)


def fit_column(field: Field, x: Array, weights: Array, limits: tuple[float, float] | None) -> Column:
    """Choose the map of a column by its kind."""
    if field.categories is not None:
        if limits is not None:
            raise UsageError(f"bounds: column {field.name!r} is categorical and has none")
        return fit_cells(x, weights, 0, len(field.categories))
    low, high = limits or field.natural_bounds()
    fit = fit_integers if field.kind == "ordinal" else fit_continuous
    return fit(field.name, x, weights, low, high)


def is_constant(field: Field, x: Array) -> bool:
    """Whether the column can only take one value, as far as the data shows."""
    if field.categories is not None:
        return len(field.categories) == 1
    return bool(x.min() == x.max())


def check_bound_pairs(bounds: Mapping[Any, BoundPair]) -> dict[Any, tuple[float, float]]:
    """Return the bounds with infinities for None.

    Raises:
        UsageError: unless each is a pair with low < high.
    """
    pairs = {}
    for name, pair in bounds.items():
        try:
            low, high = pair
            low, high = -np.inf if low is None else float(low), np.inf if high is None else float(high)
        except (TypeError, ValueError):
            raise UsageError(f"bounds: column {name!r} expects a pair (low, high), got {pair!r}") from None
        if not low < high:
            raise UsageError(f"bounds: column {name!r} expects low < high, got {pair!r}")
        pairs[name] = (low, high)
    return pairs
