"""What a model finds unlikely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.reports.page import MISSING, Table

_SHOWN = 10
_MOST_COLUMNS = 12
# How numpy and pandas write that a value is missing.
_UNKNOWN = ("nan", "NaT", "<NA>")


def unlikely_rows(log_prob: ArrayLike, rows: Sequence[Sequence[object]] | NDArray[Any], names: Sequence[str]) -> Table:
    """The rows of the least log-density, the least first, with their values; before them those that have none (NaN).

    Args:
        log_prob: of each row, ``(n,)``.
        rows: their values; of many columns the first are shown.
        names: of the columns.

    Raises:
        IndexError: if there are fewer rows than log-densities.

    Example:
        >>> unlikely_rows([-1.0, -9.0], [["a"], ["b"]], ["letter"]).rows
        [(1, -9.0, 'b'), (0, -1.0, 'a')]
    """
    values = np.asarray(log_prob, np.float64)
    order = np.lexsort((values, ~np.isnan(values)))[:_SHOWN].tolist()
    shown = [(row, float(values[row]), *map(_plain, rows[row][:_MOST_COLUMNS])) for row in order]
    return Table(("row", "log p", *names[:_MOST_COLUMNS]), shown, "The least likely rows of the test data")


def _plain(value: object) -> object:
    """A value as it is read: a number with as many digits as it needs, a day without its midnight."""
    if value is None or str(value) in _UNKNOWN:
        return MISSING
    if isinstance(value, (int, np.integer)):
        return value
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value).removesuffix(" 00:00:00")
