"""Which marginal distribution a column has: by its kind, its values, and what the user said of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pushforward.errors import DataError
from pushforward.tables.columns import Array, Column
from pushforward.tables.declarations import Declared, check_declared
from pushforward.tables.fields import Field
from pushforward.tables.marginals.atoms import find_atoms
from pushforward.tables.marginals.categories import Categories
from pushforward.tables.marginals.fits import fit_circle, fit_real, with_missing
from pushforward.tables.marginals.integer_fits import fit_integers
from pushforward.tables.marginals.observed_bounds import FREE, Bounds, lower_bound_of_integers, observed_bounds
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.report import ColumnReport
from pushforward.tables.values.dates import Dates
from pushforward.tables.values.numbers import Numbers

LESS_THAN_HALF = 0.5 - 1e-9
PERIODS = {"hour": (0, 24), "weekday": (0, 7), "month": (1, 13), "degree": (0, 360), "angle": (0, 360)}
"""Names of columns that go around a circle, and the range in which such a column's numbers lie."""

CLIPPED_SHARE = 0.01
"""The share of rows that an outermost value has which is taken for a bound."""


def fit_column(field: Field, x: Array, weights: Array, declared: Declared) -> tuple[Column, ColumnReport]:
    """Estimate the marginal distribution of a column that varies, from the numbers of its field.

    Raises:
        UsageError: for options that the kind has no use for.
        DataError: for values outside the declared bounds, or none whole in an ordinal column.
    """
    check_declared(field, declared)
    missing = np.isnan(x)
    rows, missing_rows = float(weights.sum()), float(weights[missing].sum())
    marginal = _fit(field, x[~missing], weights[~missing], declared)
    suggestion = _suggestion(field, x[~missing], declared)
    notes = (field.why, marginal.bounds.why, marginal.note, suggestion)
    report = ColumnReport(
        field.name,
        marginal.kind,
        marginal.bounds.low,
        marginal.bounds.high,
        marginal.atoms,
        missing_rows / rows,
        "; ".join(note for note in notes if note),
    )
    return with_missing(marginal.column, missing_rows, rows), report


@dataclass(frozen=True)
class Marginal:
    """The distribution of the values that are present, and what there is to say of it."""

    column: Column
    kind: str
    bounds: Bounds = FREE
    atoms: tuple[float, ...] = ()
    note: str = ""


def _fit(field: Field, x: Array, weights: Array, declared: Declared) -> Marginal:
    if field.categories is not None:
        return Marginal(Categories.fitted(x, weights, len(field.categories)), field.kind)
    if declared.circle is not None:
        return _fit_circle(field, x, weights, declared)
    sample = Sample.of(x, weights)
    if whole_numbers(field):
        check_whole(field, x)
        bounds = _integer_bounds(field, sample, declared)
        return Marginal(fit_integers(sample, bounds.low, bounds.high), field.kind, bounds)
    atoms = found_atoms(field, sample, declared)
    bounds = _real_bounds(field, sample, atoms, declared)
    column = fit_real(sample, bounds.low, bounds.high, atoms)
    return Marginal(column, field.kind, bounds, tuple(atoms.tolist()), _about_atoms(atoms, declared))


def _fit_circle(field: Field, x: Array, weights: Array, declared: Declared) -> Marginal:
    assert declared.circle is not None
    low, high = declared.circle
    whole = whole_numbers(field) and float(low).is_integer() and float(high).is_integer()
    atoms = x[:0] if declared.atoms is None else declared.atoms
    column = fit_circle(x, weights, low, high - low, whole, atoms)
    return Marginal(
        column, "circular", Bounds(low, high, f"around a circle of {high - low:.6g}"), tuple(atoms.tolist())
    )


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


def _integer_bounds(field: Field, sample: Sample, declared: Declared) -> Bounds:
    if declared.bounds is not None:
        low, high = declared.bounds
        check_within(field, sample.values, low, high)
        return Bounds(float(np.ceil(low)), float(np.floor(high)), "bounds declared")
    if not isinstance(field.values, Numbers):
        return FREE
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
        return FREE
    # What a few rows have may be rounding, and what occurs once or never shows nothing.
    repeated, rest = sample.split(atoms)
    return observed_bounds(rest, repeated.values[repeated.rows > max(1.0, CLIPPED_SHARE * sample.count)])


def _about_atoms(atoms: Array, declared: Declared) -> str:
    if len(atoms) == 0:
        return ""
    if declared.atoms is not None:
        return "atoms declared"
    return "repeated values are atoms"


def _suggestion(field: Field, x: Array, declared: Declared) -> str:
    """Advice where a column's name and range are those of hours, months or degrees."""
    if declared.circle is not None or len(x) == 0 or not isinstance(field.name, str):
        return ""
    for name, (low, high) in PERIODS.items():
        inside = low <= x.min() and x.max() <= high and x.max() - x.min() > 0.6 * (high - low)
        if name in field.name.lower() and inside:
            return f"if it goes around a circle, say circular={{{field.name!r}: ({low}, {high})}}"
    return ""
