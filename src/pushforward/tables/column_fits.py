"""Which marginal distribution a column has: by its kind, its values, and what the user said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array, Column
from pushforward.tables.fields import Field
from pushforward.tables.marginals.atoms import find_atoms
from pushforward.tables.marginals.categories import Categories
from pushforward.tables.marginals.fits import fit_circle, fit_real, with_missing
from pushforward.tables.marginals.integer_fits import fit_integers
from pushforward.tables.marginals.observed_bounds import Bounds, lower_bound_of_integers, observed_bounds
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.report import ColumnReport
from pushforward.tables.values.dates import Dates
from pushforward.tables.values.numbers import Numbers

LESS_THAN_HALF = 0.5 - 1e-9
PERIODS = {"hour": (0, 24), "weekday": (0, 7), "month": (1, 13), "degree": (0, 360), "angle": (0, 360)}
"""Names of columns that go around a circle, and the range in which such a column's numbers lie."""


@dataclass(frozen=True)
class Declared:
    """What the user said of a column; None for what is to be found."""

    bounds: tuple[float, float] | None = None
    circle: tuple[float, float] | None = None
    atoms: Array | None = None


def fit_column(field: Field, x: Array, weights: Array, declared: Declared) -> tuple[Column, ColumnReport]:
    """Estimate the marginal distribution of a column that varies, from the numbers of its field.

    Raises:
        UsageError: for options that the kind has no use for.
        DataError: for values outside the declared bounds, or none whole in an ordinal column.
    """
    check_declared(field, declared)
    missing = np.isnan(x)
    rows, missing_rows = float(weights.sum()), float(weights[missing].sum())
    x, weights = x[~missing], weights[~missing]
    if field.categories is not None:
        column: Column = Categories.fitted(x, weights, max(len(field.categories), 1))
        found, atoms, kind = Bounds(-np.inf, np.inf), x[:0], field.kind
    elif declared.circle is not None:
        column, found, kind = _circle(field, x, weights, declared.circle, declared.atoms)
        atoms = x[:0]
    elif whole_numbers(field):
        sample = Sample.of(x, weights)
        check_whole(field, x)
        found, atoms, kind = _integer_bounds(field, sample, declared), x[:0], field.kind
        column = fit_integers(sample, found.low, found.high)
    else:
        sample = Sample.of(x, weights)
        atoms = found_atoms(field, sample, declared)
        found, kind = _real_bounds(field, sample, atoms, declared), field.kind
        column = fit_real(sample, found.low, found.high, atoms)
    notes = [field.why, found.why, _about_atoms(atoms, declared), _suggestion(field, x, declared)]
    report = ColumnReport(
        field.name,
        kind,
        found.low,
        found.high,
        tuple(atoms.tolist()),
        missing_rows / rows,
        "; ".join(note for note in notes if note),
    )
    return with_missing(column, missing_rows, rows), report


def whole_numbers(field: Field) -> bool:
    """Whether a column consists of whole numbers, each with a mass."""
    return field.kind == "ordinal" or (isinstance(field.values, Dates) and field.values.whole)


def found_atoms(field: Field, sample: Sample, declared: Declared) -> Array:
    """The atoms of a real column: those that were declared, or that repeat far beyond chance.

    Where the user declared a column of integers to be continuous, that it has few different values is no reason to
    model none but these.
    """
    if declared.atoms is not None:
        return declared.atoms
    integers = isinstance(field.values, Numbers) and field.values.whole
    return find_atoms(sample, few=not (field.declared and integers))


def check_declared(field: Field, declared: Declared) -> None:
    """Raise :class:`UsageError` for options that a column of this kind has no use for."""
    if field.categories is not None:
        for option, value in (("bounds", declared.bounds), ("circular", declared.circle), ("atoms", declared.atoms)):
            if value is not None:
                raise UsageError(f"{option}: column {field.name!r} is categorical and has none")
    if declared.bounds is not None and declared.circle is not None:
        raise UsageError(f"column {field.name!r} is circular and has no bounds")


def check_whole(field: Field, x: Array) -> None:
    """Raise :class:`DataError` unless all values are whole numbers."""
    wrong = x[x != np.floor(x)]
    if len(wrong):
        raise DataError(f"column {field.name!r} expects integers, got {wrong[0]}: declare it 'continuous' or round it")


def check_within(field: Field, x: Array, low: float, high: float) -> None:
    """Raise :class:`DataError` if a value lies outside of its bounds."""
    wrong = x[(x < low) | (x > high)]
    if len(wrong):
        values, rows = ("1 value", "this row") if len(wrong) == 1 else (f"{len(wrong)} values", "these rows")
        raise DataError(
            f"column {field.name!r} has {values} outside its bounds ({low}, {high}), such as {wrong[0]}: widen bounds= "
            f"or remove {rows}"
        )


def _circle(
    field: Field, x: Array, weights: Array, circle: tuple[float, float], atoms: Array | None
) -> tuple[Column, Bounds, str]:
    low, high = circle
    whole = whole_numbers(field) and float(low).is_integer() and float(high).is_integer()
    column = fit_circle(x, weights, low, high - low, whole, x[:0] if atoms is None else atoms)
    return column, Bounds(low, high, f"around a circle of {high - low:.6g}"), "circular"


def _integer_bounds(field: Field, sample: Sample, declared: Declared) -> Bounds:
    if declared.bounds is not None:
        low, high = declared.bounds
        check_within(field, sample.values, low, high)
        return Bounds(float(np.ceil(low)), float(np.floor(high)), "bounds declared")
    if not isinstance(field.values, Numbers):
        return Bounds(-np.inf, np.inf)
    low, high = field.values.limits()
    return Bounds(low, high, "bounds of its dtype") if np.isfinite(low) else lower_bound_of_integers(sample)


def _real_bounds(field: Field, sample: Sample, atoms: Array, declared: Declared) -> Bounds:
    if declared.bounds is not None:
        check_within(field, sample.values, *declared.bounds)
        low, high = declared.bounds
        if isinstance(field.values, Numbers) and field.values.whole:
            # So that what is rounded when it is written stays within.
            low, high = max(low, np.ceil(low) - LESS_THAN_HALF), min(high, np.floor(high) + LESS_THAN_HALF)
        return Bounds(float(low), float(high), "bounds declared")
    if not isinstance(field.values, Numbers):
        return Bounds(-np.inf, np.inf)
    return observed_bounds(sample.split(atoms)[1], atoms)


def _about_atoms(atoms: Array, declared: Declared) -> str:
    if len(atoms) == 0:
        return ""
    if declared.atoms is not None:
        return "atoms declared"
    return "values that 8 rows or more have, 8 times as many as their neighbours, or few values in all, are atoms"


def _suggestion(field: Field, x: Array, declared: Declared) -> str:
    """Advice where a column's name and range are those of hours, months or degrees."""
    if declared.circle is not None or len(x) == 0 or not isinstance(field.name, str):
        return ""
    for name, (low, high) in PERIODS.items():
        inside = low <= x.min() and x.max() <= high and x.max() - x.min() > 0.6 * (high - low)
        if name in field.name.lower() and inside:
            return f"if it goes around a circle, say circular={{{field.name!r}: ({low}, {high})}}"
    return ""


def number_of(field: Field, value: Any) -> float:
    """A value that the user gave, a number or a date, as the number that the column's field makes of it."""
    if isinstance(field.values, Dates):
        return float(field.read([value])[0])
    return float(value)
