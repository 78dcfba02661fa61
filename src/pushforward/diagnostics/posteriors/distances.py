"""Distances in units of a sample's own spread."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_NO_SPREAD = 1e-10


@dataclass(frozen=True)
class Mahalanobis:
    """The distance from the mean of a sample, in standard deviations along its principal axes.

    Attributes:
        mean: ``(F,)``.
        whitening: ``(F, F)``, from differences to standard deviations.

    Example:
        >>> rows = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]])
        >>> round(Mahalanobis.of(rows)(torch.tensor([[1.0, 2.0 + 2 * 4**0.5]])).item(), 4)
        1.7321
    """

    mean: Tensor
    whitening: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Mahalanobis:
        """Of a sample ``(n, F)`` of features of one scale; an axis without spread keeps their units."""
        mean = rows.mean(0)
        centred = rows - mean
        variances, axes = torch.linalg.eigh(centred.T @ centred / max(len(rows) - 1, 1))
        spread = variances > _NO_SPREAD * variances.max()
        return cls(mean, axes * torch.where(spread, variances, 1.0).rsqrt())

    def __call__(self, rows: Tensor) -> Tensor:
        """The distance of each row, ``(n,)``."""
        return ((rows - self.mean) @ self.whitening).norm(dim=1)
