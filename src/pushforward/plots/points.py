"""The data of a picture as arrays, and the limits that show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.errors import DataError, ShapeError

DATA_ONLY = 2000


def column_names(data: object, names: Sequence[str] | None, size: int) -> list[str]:
    """The names of the columns: those that are given, else the frame's own, else ``x_1``, ``x_2``, ...

    Raises:
        ShapeError: another number of them.
    """
    given = getattr(data, "columns", None) if names is None or not len(names) else names
    if given is None:
        return [f"$x_{{{index + 1}}}$" for index in range(size)]
    if len(given) != size:
        raise ShapeError(f"a picture of {size} columns expects as many names, got {len(given)}")
    return [str(name) for name in given]


def points(data: ArrayLike | Tensor, features: int) -> Tensor:
    """The data as a float tensor ``(n, features)``."""
    x = torch.as_tensor(array(data), dtype=torch.float32)
    x = x.unsqueeze(-1) if features == 1 and x.dim() == 1 else x
    if x.dim() != 2 or x.shape[1] != features:
        raise ShapeError(f"this picture expects data of shape (n, {features}), got {tuple(x.shape)}")
    return x


def array(data: ArrayLike | Tensor) -> NDArray[Any]:
    """The data as a float array.

    Raises:
        DataError: if there is none, or a value is missing or infinite.
    """
    values = data.detach().cpu().double().numpy() if isinstance(data, Tensor) else np.asarray(data, dtype=np.float64)
    if not values.size:
        raise DataError(f"a picture expects data, got none (shape {values.shape})")
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise DataError(
            f"a picture expects finite numbers, got {wrong} that are missing or infinite: remove these rows"
        )
    return values


def span(x: Tensor, margin: float) -> tuple[float, float]:
    """The interval of the values with a margin of this share on both sides."""
    low, high = x.min().item(), x.max().item()
    pad = margin * (high - low) or 1.0
    return low - pad, high + pad


def plane_bounds(x: Tensor) -> tuple[float, float, float, float]:
    """A square around the points, leaving out the farthest few."""
    finite = x[torch.isfinite(x).all(-1)].double()
    low, high = finite.quantile(0.002, dim=0), finite.quantile(0.998, dim=0)
    middle = 0.5 * (low + high)
    half = 0.58 * (high - low).max().item() or 1.0
    left, bottom = (middle - half).tolist()
    right, top = (middle + half).tolist()
    return left, right, bottom, top


def quantile_limits(values: NDArray[Any]) -> tuple[float, float]:
    """The interval of a column, leaving out the farthest few."""
    low, high = np.quantile(values, [0.002, 0.998])
    pad = 0.06 * (high - low) or 0.5
    return float(low - pad), float(high + pad)
