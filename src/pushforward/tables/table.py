"""Tables, numpy arrays or data frames with columns of any kind, as the real numbers that flows and networks take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array, Column, fit_cells, fit_continuous, fit_integers

BoundPair = tuple[float | None, float | None]
KINDS = ("continuous", "ordinal", "categorical")


@dataclass
class Field:
    """How the values of one column are read and written: its name, kind, dtype, and categories if it has any."""

    name: Any
    kind: str
    dtype: Any
    categories: pd.Index | None

    def read(self, values: Any) -> Array:
        """Return the values as numbers, categories as their index and -1 for an unknown one."""
        if self.categories is None:
            return pd.to_numeric(pd.Series(values)).to_numpy(np.float64)
        return self.categories.get_indexer(pd.Index(values)).astype(np.float64)

    def write(self, numbers: Array) -> Any:
        """Return numbers as values of the column's own dtype."""
        if self.categories is not None:
            codes = np.clip(numbers.astype(np.int64), 0, len(self.categories) - 1)
            return pd.Series(self.categories.take(codes)).astype(self.dtype)
        kind = np.dtype(getattr(self.dtype, "numpy_dtype", self.dtype))
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            return pd.Series(np.clip(numbers, float(limits.min), float(limits.max)).astype(kind)).astype(self.dtype)
        return pd.Series(numbers).astype(self.dtype)

    def natural_bounds(self) -> tuple[float, float]:
        """The bounds that the dtype itself gives: no negative unsigned integers, no byte beyond 255."""
        kind = getattr(self.dtype, "numpy_dtype", self.dtype)
        if self.kind != "ordinal" or not isinstance(kind, np.dtype) or kind.kind not in "iu":
            return -np.inf, np.inf
        limits = np.iinfo(kind)
        return (
            float(limits.min) if kind.kind == "u" or kind.itemsize == 1 else -np.inf,
            float(limits.max) if kind.itemsize == 1 else np.inf,
        )


class Table:
    """The layout of a table, taken from the one that an estimator is fitted on: its columns' names, kinds and dtypes.

    Args:
        data: a data frame or a two-dimensional array.
        kinds: ``{column: kind}`` where the kind that the dtype suggests (floats continuous, integers ordinal, the rest
            categorical) is not meant; columns by name, or by index for arrays.
    """

    def __init__(self, data: Any, kinds: Mapping[Any, str] | None) -> None:
        self.is_frame = isinstance(data, pd.DataFrame)
        self.dtype = None if self.is_frame else data.dtype
        names = list(data.columns) if self.is_frame else list(range(data.shape[1]))
        kinds = check_keys("columns", kinds, names)
        self.fields = [describe(name, values, kinds.get(name)) for name, values in zip(names, columns_of(data))]

    @property
    def names(self) -> list[Any]:
        return [field.name for field in self.fields]

    def read(self, data: Any) -> Array:
        """Return the table as numbers ``(n, columns)``.

        Raises:
            DataError: if values are missing or infinite, naming the columns and how many.
        """
        check_present(self.names, data)
        if len(self.fields) == 0 or data.shape[0] == 0:
            return np.zeros((data.shape[0], len(self.fields)))
        numbers = np.stack([field.read(values) for field, values in zip(self.fields, columns_of(data))], axis=1)
        infinite = {name: int(count) for name, count in zip(self.names, np.isinf(numbers).sum(0)) if count}
        if infinite:
            raise DataError(f"Input contains infinity: {counted(infinite, 'infinite')}: remove these rows")
        return numbers

    def write(self, numbers: Array) -> Any:
        """Return numbers ``(n, columns)`` as a table like the one that the layout was taken from."""
        columns = [field.write(numbers[:, index]) for index, field in enumerate(self.fields)]
        if self.is_frame:
            return pd.concat(columns, axis=1, keys=range(len(columns))).set_axis(self.names, axis=1)
        return np.stack([column.to_numpy() for column in columns], axis=1).astype(self.dtype)


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


def describe(name: Any, values: Any, kind: str | None) -> Field:
    """Return the field of one column.

    Raises:
        UsageError: for an unknown kind.
        DataError: for a dtype that is neither a number nor a category.
    """
    dtype = values.dtype
    kind = kind or natural_kind(name, values)
    if kind not in KINDS:
        raise UsageError(f"columns: column {name!r} expects one of {', '.join(KINDS)}, got {kind!r}")
    if kind != "categorical":
        return Field(name, kind, dtype if types.is_numeric_dtype(dtype) else np.dtype(np.float64), None)
    if isinstance(dtype, pd.CategoricalDtype):
        return Field(name, kind, dtype, dtype.categories)
    return Field(name, kind, dtype, pd.Index(pd.Series(values).dropna().unique()).sort_values())


def natural_kind(name: Any, values: Any) -> str:
    """The kind that a dtype suggests."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) or types.is_bool_dtype(dtype):
        return "categorical"
    if types.is_integer_dtype(dtype):
        return "ordinal"
    if types.is_float_dtype(dtype):
        return "continuous"
    if isinstance(values, pd.Series) and (types.is_object_dtype(dtype) or types.is_string_dtype(dtype)):
        return "categorical"
    if dtype.kind in "US" or (dtype.kind == "O" and any(isinstance(value, str | bool) for value in values)):
        return "categorical"
    if dtype.kind == "O":
        # An array of objects may hold plain numbers; if not, this raises the usual TypeError.
        np.asarray(values).astype(np.float64)
        return "continuous"
    raise DataError(f"column {name!r} has dtype {dtype}: turn it into a number or a category first")


def columns_of(data: Any) -> list[Any]:
    """The columns of a data frame or array."""
    count = data.shape[1]
    if isinstance(data, pd.DataFrame):
        return [data.iloc[:, index] for index in range(count)]
    return [data[:, index] for index in range(count)]


def check_present(names: list[Any], data: Any) -> None:
    """Raise :class:`DataError` if values are missing, naming the columns and how many."""
    missing = {name: int(pd.isna(column).sum()) for name, column in zip(names, columns_of(data))}
    missing = {name: count for name, count in missing.items() if count}
    if missing:
        raise DataError(
            f"Input contains NaN: {counted(missing, 'missing')}: fill them in, drop these rows, or make 'missing' a "
            f"category of its own"
        )


def counted(counts: Mapping[Any, int], what: str) -> str:
    """For instance ``column 'age' has 3 missing values, column 'b' 1``."""
    shown = [f"column {name!r} {'has ' if not i else ''}{count}" for i, (name, count) in enumerate(counts.items())]
    shown[0] += f" {what} value{'s' if next(iter(counts.values())) > 1 else ''}"
    more = f" and {len(shown) - 10} columns more" if len(shown) > 10 else ""
    return ", ".join(shown[:10]) + more


def check_keys(option: str, mapping: Mapping[Any, Any] | None, names: list[Any]) -> Mapping[Any, Any]:
    """Raise :class:`UsageError` unless every key is a column."""
    unknown = [key for key in mapping or {} if key not in names]
    if unknown:
        raise UsageError(f"{option}: there is no column {unknown[0]!r}; the columns are {names[:20]}")
    return mapping or {}


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
