"""Bringing a table's columns to mean 0 and spread 1, and densities back to the table's own units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import DataError


@dataclass(frozen=True)
class Standardiser:
    """``u = (x - mean) / scale`` for named columns; ``log p(x) = log p(u) - sum log scale``.

    Example:
        >>> standard = Standardiser.fit(torch.tensor([[1.0], [3.0]]), ("height",))
        >>> standard.apply(torch.tensor([[3.0]])), round(standard.log_volume, 4)
        (tensor([[1.]]), 0.0)
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, x: Tensor, columns: tuple[str, ...]) -> Standardiser:
        """From the training rows ``(N, D)``.

        Raises:
            DataError: a column is constant, which has no density.
        """
        wide = x.double()
        mean, scale = wide.mean(0), wide.std(0, correction=0)
        for name, value, centre in zip(columns, scale.tolist(), mean.tolist()):
            if value <= 1e-6 * abs(centre):
                raise DataError(f"column {name!r} is constant ({centre:g}), which has no density; leave it out")
        return cls(columns, tuple(mean.tolist()), tuple(scale.tolist()))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Standardiser:
        """From what `to_json` gave."""
        return cls(tuple(stored["columns"]), tuple(map(float, stored["mean"])), tuple(map(float, stored["scale"])))

    def to_json(self) -> dict[str, Any]:
        """As plain lists."""
        return {key: list(value) for key, value in asdict(self).items()}

    def apply(self, x: Tensor) -> Tensor:
        """Standardise rows ``(..., D)``."""
        wide = (x.double() - self._tensor(self.mean)) / self._tensor(self.scale)
        return wide.to(x.dtype)

    def undo(self, u: Tensor) -> Tensor:
        """The rows in the table's units again."""
        return (u.double().cpu() * self._tensor(self.scale) + self._tensor(self.mean)).to(u.dtype)

    @property
    def log_volume(self) -> float:
        """``sum log scale``, to be taken from a log-density of standardised rows."""
        return sum(math.log(scale) for scale in self.scale)

    @staticmethod
    def _tensor(values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)
