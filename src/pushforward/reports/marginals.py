"""Columns one by one: the data beside samples of a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.reports.page import MISSING, Table

#: More rows are no table to read.
MOST_COLUMNS = 40
_MOST_VALUES = 20
_HEADINGS = ("column", "", "mean", "deviation", "5 %", "median", "95 %")


def marginal_table(data: ArrayLike, samples: ArrayLike, names: Sequence[str], dates: Collection[str] = ()) -> Table:
    """Each column's mean, deviation and quantiles, of data ``(n, D)`` and of samples ``(m, D)``.

    Args:
        data, samples: numbers; those that are missing are left out.
        names: of the columns; of many the first are shown.
        dates: those of them that are times, as seconds since 1970.

    Raises:
        IndexError: if there are more names than columns.
        ValueError: if these are no numbers.

    Example:
        >>> table = marginal_table(np.zeros((4, 1)), np.ones((4, 1)), ["height"])
        >>> [row[:3] for row in table.rows]
        [('height', 'data', 0.0), ('', 'samples', 1.0)]
    """
    first, second = np.asarray(data, np.float64), np.asarray(samples, np.float64)
    rows: list[tuple[object, ...]] = []
    for index, name in enumerate(names[:MOST_COLUMNS]):
        read = _of_dates if name in dates else _facts
        rows += [(name, "data", *read(first[:, index])), ("", "samples", *read(second[:, index]))]
    more = len(names) - MOST_COLUMNS
    return Table(_HEADINGS, rows, "Columns, test data and samples" + (f" ({more} more are not shown)" * (more > 0)))


def share_table(data: ArrayLike, samples: ArrayLike, values: Sequence[object], name: str) -> Table:
    """How often each value of a column of categories comes, in data and in samples, the most frequent first.

    Args:
        data, samples: places in ``values``; those that are missing are left out.
        values: of the column; of many the most frequent are shown.
        name: of the column.

    Raises:
        IndexError, ValueError: if a place is negative or beyond the values.

    Example:
        >>> share_table([0.0, 1.0, 1.0, 1.0], [0.0, 1.0, np.nan, np.nan], ["run", "swim"], "sport").rows
        [('swim', 0.75, 0.5), ('run', 0.25, 0.5)]
    """
    shares = np.stack([_shares(data, len(values)), _shares(samples, len(values))])
    order = np.argsort(-shares[0], kind="stable")[:_MOST_VALUES].tolist()
    rows = [(str(values[place]), *shares[:, place].tolist()) for place in order]
    return Table((name, "share of test data", "of samples"), rows, f"Values of {name}")


def _shares(codes: ArrayLike, count: int) -> NDArray[np.float64]:
    found = np.asarray(codes, np.float64)
    counts = np.bincount(found[np.isfinite(found)].astype(int), minlength=count)
    return counts / max(1, counts.sum())


def _facts(values: NDArray[np.float64]) -> tuple[float, ...]:
    present = values[np.isfinite(values)]
    if not len(present):
        return (np.nan,) * 5
    low, median, high = np.quantile(present, [0.05, 0.5, 0.95])
    return tuple(map(float, (present.mean(), present.std(), low, median, high)))


def _of_dates(seconds: NDArray[np.float64]) -> tuple[str, ...]:
    """The facts of times: days, and the deviation in days."""
    mean, deviation, *quantiles = _facts(seconds)
    if np.isnan(mean):
        return (MISSING,) * 5
    days = [str(np.datetime64(int(value), "s").astype("datetime64[D]")) for value in (mean, *quantiles)]
    return (days[0], f"{deviation / 86400:.1f} days", *days[1:])
