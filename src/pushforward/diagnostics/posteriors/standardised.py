"""Rows in units of a reference: what is compared should not depend on units."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.draws import plain
from pushforward.errors import DataError, ShapeError

_FARTHEST = 1e15
"""In deviations of the reference. What is farther is as different, and its squares may be no numbers."""


def standardised_rows(rows: Tensor, reference: Tensor) -> Tensor:
    """Flatten ``(N, ...)`` to ``(N, F)`` in double precision, less the mean and over the deviation of a reference.

    A feature that is constant in the reference keeps its units; what is missing (NaN) takes the mean, and nothing is
    farther than 1e15 deviations.

    Example:
        >>> standardised_rows(torch.tensor([[3.0]]), torch.tensor([[0.0], [2.0]])).round(decimals=4)
        tensor([[1.4142]], dtype=torch.float64)
    """
    values, given = (plain(each).flatten(1) for each in (rows, reference))
    mean, scale = mean_and_scale(given)
    return ((values - mean) / scale).nan_to_num(nan=0.0).clamp(-_FARTHEST, _FARTHEST)


def mean_and_scale(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the deviation of each feature of ``(N, F)``, 1 of one that is constant; NaN is left out.

    Example:
        >>> mean_and_scale(torch.tensor([[0.1, 0.0], [0.1, 2.0]]))
        (tensor([0.1000, 1.0000]), tensor([1.0000, 1.4142]))
    """
    missing = rows.isnan()
    low, high = rows.masked_fill(missing, torch.inf).amin(0), rows.masked_fill(missing, -torch.inf).amax(0)
    # Rounding would put the mean of equal numbers beside them, at the distance of a tiny deviation.
    mean = rows.nanmean(0).clamp(low, high)
    deviation = (rows - mean).square().nanmean(0).mul(len(rows) / max(len(rows) - 1, 1)).sqrt()
    return mean, torch.where(deviation > 0, deviation, 1.0)


def check_samples(owner: str, first: Tensor, second: Tensor, least: int = 2) -> None:
    """Check two samples ``(n, ...)`` and ``(m, ...)`` of events of one shape.

    Raises:
        ShapeError: if they are no such.
        DataError: if one has fewer events than ``least``, or holds something that is not finite.
    """
    check_shapes(owner, first, second, least)
    wrong = int((~first.isfinite()).sum() + (~second.isfinite()).sum())
    if wrong:
        raise DataError(f"{owner} expects finite numbers, got {wrong} that are missing or infinite")


def check_shapes(owner: str, first: Tensor, second: Tensor, least: int = 2) -> None:
    """Check the shapes of two samples, and that each has as many events as ``least``.

    Raises:
        ShapeError, DataError: if not.
    """
    if not first.dim() or not second.dim() or first.shape[1:] != second.shape[1:] or first.dim() < 2:
        raise ShapeError(
            f"{owner} expects two samples (n, ...) and (m, ...) of the same features, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    if 0 in first.shape[1:]:
        raise ShapeError(f"{owner} expects events of at least one number, got shape {tuple(first.shape[1:])}")
    if min(len(first), len(second)) < least:
        raise DataError(f"{owner} expects at least {least} events in each sample, got {len(first)} and {len(second)}")
