"""Columns one by one: the data beside samples of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.reports.page import Table

#: More rows are no table to read.
MOST_COLUMNS = 40
_HEADINGS = ("column", "", "mean", "deviation", "5 %", "median", "95 %")


def marginal_table(data: ArrayLike, samples: ArrayLike, names: Sequence[str]) -> Table:
    """Each column's mean, deviation and quantiles, of data ``(n, D)`` and of samples ``(m, D)``.

    Args:
        data, samples: numbers; those that are missing are left out.
        names: of the columns; of many the first are shown.

    Example:
        >>> table = marginal_table(np.zeros((4, 1)), np.ones((4, 1)), ["height"])
        >>> [row[:3] for row in table.rows]
        [('height', 'data', 0.0), ('', 'samples', 1.0)]
    """
    first, second = np.asarray(data, np.float64), np.asarray(samples, np.float64)
    rows = []
    for index, name in enumerate(names[:MOST_COLUMNS]):
        rows += [(name, "data", *_facts(first[:, index])), ("", "samples", *_facts(second[:, index]))]
    more = len(names) - MOST_COLUMNS
    return Table(_HEADINGS, rows, "Columns, test data and samples" + (f" ({more} more are not shown)" * (more > 0)))


def _facts(values: NDArray[np.float64]) -> tuple[float, ...]:
    present = values[np.isfinite(values)]
    if not len(present):
        return (np.nan,) * 5
    low, median, high = np.quantile(present, [0.05, 0.5, 0.95])
    return tuple(map(float, (present.mean(), present.std(), low, median, high)))
