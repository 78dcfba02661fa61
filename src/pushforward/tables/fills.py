"""One value that stands for a weighted distribution of a column's values."""

from __future__ import annotations

import numpy as np

from pushforward.tables.columns import Array
from pushforward.tables.report import ColumnReport


def typical(report: ColumnReport, values: Array, weights: Array) -> Array:
    """Return for each row one value ``(n,)`` of its values ``(n, K)`` with weights.

    The most probable category, the mean direction around a circle, else the median.
    """
    if report.kind == "categorical":
        return weighted_modes(values, weights)
    if report.kind == "circular":
        return mean_directions(values, weights, report.low, report.high - report.low)
    return weighted_medians(values, weights)


def weighted_medians(values: Array, weights: Array) -> Array:
    """The medians ``(n,)`` of values ``(n, K)`` with weights.

    Example:
        >>> weighted_medians(np.array([[3.0, 1.0, 2.0]]), np.array([[0.2, 0.2, 0.6]])).tolist()
        [2.0]
    """
    order = np.argsort(values, axis=1)
    edges = np.cumsum(np.take_along_axis(weights, order, 1), axis=1)
    position = (edges < 0.5 * edges[:, -1:]).sum(1)
    return np.take_along_axis(np.take_along_axis(values, order, 1), position[:, None], 1)[:, 0]


def weighted_modes(values: Array, weights: Array) -> Array:
    """The values ``(n,)`` of ``(n, K)`` with the most weight."""
    distinct, index = np.unique(values, return_inverse=True)
    sums = np.zeros((len(values), len(distinct)))
    np.add.at(sums, (np.arange(len(values))[:, None], index.reshape(values.shape)), weights)
    return np.asarray(distinct[sums.argmax(1)])


def mean_directions(values: Array, weights: Array, low: float, period: float) -> Array:
    """The value in each row nearest to the mean direction of ``(n, K)`` with weights, ``(n,)``."""
    turns = 2.0 * np.pi * (values - low) / period
    mean = np.arctan2((weights * np.sin(turns)).sum(1), (weights * np.cos(turns)).sum(1))
    # A value that is there, so that months stay months.
    nearest = np.where(weights > 0, np.cos(turns - mean[:, None]), -2.0).argmax(1)
    return values[np.arange(len(values)), nearest]
