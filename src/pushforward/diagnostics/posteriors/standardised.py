"""Rows in units of a reference: what is compared should not depend on units."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.draws import plain
from pushforward.errors import DataError, ShapeError


def standardised_rows(rows: Tensor, reference: Tensor) -> Tensor:
    """Flatten ``(N, ...)`` to ``(N, F)`` in double precision, less the mean and over the deviation of a reference.

    A feature that is constant in the reference keeps its units; what is missing (NaN) takes the mean.

    Example:
        >>> standardised_rows(torch.tensor([[3.0]]), torch.tensor([[0.0], [2.0]])).round(decimals=4)
        tensor([[1.4142]], dtype=torch.float64)
    """
    values, given = (plain(each).flatten(1) for each in (rows, reference))
    mean = given.nanmean(0)
    deviation = (given - mean).square().nanmean(0).mul(len(given) / max(len(given) - 1, 1)).sqrt()
    scale = torch.where(deviation > 0, deviation, 1.0)
    return ((values - mean) / scale).nan_to_num(nan=0.0)


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
    if min(len(first), len(second)) < least:
        raise DataError(f"{owner} expects at least {least} events in each sample, got {len(first)} and {len(second)}")
