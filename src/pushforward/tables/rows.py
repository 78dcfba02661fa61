"""The rows of a fit: in an order of their own, with weights, split, and repeated for their noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array

ROWS_TO_VALIDATE = 20
LEAST_HELD_OUT = 20
ROWS_IN_MEMORY = 2_000_000
NOISY_ROWS = 30_000


@dataclass(frozen=True)
class Rows:
    """Rows in an order of their own, with weights: what a fit depends on, and nothing else.

    A fit must not depend on the order of the rows, and a weight of 2 must be the same as the row twice, so equal rows
    are brought together first. Where weights are whole numbers the rows are then repeated, else they carry them.
    """

    values: Array
    weights: Array


def canonical_rows(values: Array, sample_weight: Array) -> Rows:
    """Bring rows into their own order.

    Whole weights are numbers of rows. Others are scaled so that together they are the number of rows that tell as much
    as these, ``(sum w)^2 / sum w^2`` (Kish 1965, Survey Sampling), whatever their sum was.

    Raises:
        DataError: if a weight is negative or all are zero.
    """
    if (sample_weight < 0).any() or not sample_weight.sum() > 0:
        raise DataError("sample_weight expects numbers of at least 0, not all of them 0")
    kept = sample_weight > 0
    given = sample_weight[kept].astype(np.float64)
    counts = bool((given == np.round(given)).all())
    distinct, position = distinct_rows(values[kept])
    weights = np.bincount(position, weights=given).astype(np.float64)
    if counts and weights.sum() <= ROWS_IN_MEMORY:
        repeated = np.repeat(distinct, weights.astype(np.int64), axis=0)
        return Rows(repeated, np.ones(len(repeated)))
    return Rows(distinct, weights if counts else weights * (given.sum() / (given**2).sum()))


def distinct_rows(values: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return the distinct rows in increasing order, missing values last, and which of them each row is."""
    order = np.lexsort(values.T[::-1])
    rows = values[order]
    same = (rows[1:] == rows[:-1]) | (np.isnan(rows[1:]) & np.isnan(rows[:-1]))
    new = np.concatenate([[True], ~same.all(1)])[: len(values)]
    position = np.empty(len(values), dtype=np.int64)
    position[order] = np.cumsum(new) - 1
    return np.asarray(rows[new], dtype=np.float64), position


def split_rows(count: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to train on and those to validate on: the fraction, but 20 or a quarter of few rows at least.

    Of less than 20 rows all train; with a fraction of 0 all do.

    Raises:
        UsageError: if the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"validation_fraction expects a number in [0, 1), got {fraction}")
    held_out = (
        max(round(fraction * count), min(LEAST_HELD_OUT, count // 4)) if fraction and count >= ROWS_TO_VALIDATE else 0
    )
    order = np.random.default_rng(seed).permutation(count)
    return order[held_out:], order[:held_out]


def repeats_for_noise(rows: int) -> int:
    """How often rows are repeated, each time with fresh noise, so that training seldom sees a noise twice."""
    return int(np.clip(NOISY_ROWS // max(rows, 1), 2, 64))
