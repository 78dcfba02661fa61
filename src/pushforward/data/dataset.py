"""What every reader returns: a training, a validation and a test part, and how many levels the values have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError


@dataclass(frozen=True)
class Dataset:
    """Data in memory, split into three parts; discrete values are whole numbers 0..levels-1 carried in float32.

    Continuous data keep the precision that they were stored in: what is far from 0 must be standardised before it is
    cut to float32.

    Attributes:
        name: what to call it.
        train, validation, test: tensors ``(N, ...)`` that share their event shape.
        levels: how many values an element may take, or None for continuous data.
        columns: the names of a table's columns, empty for anything else.
        notes: what the reader found in the file and decided, a sentence each, for people to be told.

    Raises:
        DataError: an empty part, differing event shapes, values that are not finite or not whole numbers in
            0..levels-1.

    Example:
        >>> rows = torch.arange(6.0).reshape(6, 1)
        >>> Dataset("rows", rows[:4], rows[4:5], rows[5:], levels=6).event_shape
        (1,)
    """

    name: str
    train: Tensor
    validation: Tensor
    test: Tensor
    levels: int | None = None
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part, x in self.parts().items():
            if x.ndim < 2 or x.numel() == 0:
                raise DataError(f"{self.name}: the {part} part is empty or no table (shape {tuple(x.shape)})")
            if x.shape[1:] != self.train.shape[1:]:
                raise DataError(
                    f"{self.name}: the {part} part holds events of shape {tuple(x.shape[1:])}, "
                    f"the training part {tuple(self.train.shape[1:])}; they must agree"
                )
            _check_values(f"{self.name}, {part} part", x, self.levels)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event."""
        return tuple(self.train.shape[1:])

    def parts(self) -> dict[str, Tensor]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def split(
    name: str,
    x: np.ndarray[Any, Any] | Tensor,
    levels: int | None = None,
    columns: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Split rows 80/10/10 in the order of ``numpy.random.default_rng(0).permutation``, the same on every machine.

    Raises:
        DataError: fewer than 10 rows, or whatever `Dataset` refuses.

    Example:
        >>> data = split("zeros", torch.zeros(20, 3))
        >>> len(data.train), len(data.validation), len(data.test)
        (16, 2, 2)
    """
    rows = len(x)
    if rows < 10:
        raise DataError(f"{name}: {rows} rows cannot be split into train, validation and test; at least 10 are needed")
    train, validation, test = (torch.from_numpy(order) for order in split_order(rows))
    tensor = as_float(x)
    return Dataset(name, tensor[train], tensor[validation], tensor[test], levels, columns, notes)


def split_order(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The positions of the rows that train, validate and test, 80/10/10, the same on every machine.

    Example:
        >>> [part.tolist() for part in split_order(10)]
        [[4, 6, 2, 7, 3, 5, 9, 0], [8], [1]]
    """
    order = np.random.default_rng(0).permutation(rows)
    train, validation = rows * 8 // 10, rows * 9 // 10
    return order[:train], order[train:validation], order[validation:]


def as_float(x: np.ndarray[Any, Any] | Tensor) -> Tensor:
    """``x`` as a tensor that shares no memory with a file: in double precision if it is, else in single."""
    tensor = torch.as_tensor(np.ascontiguousarray(x, dtype=float_type(x.dtype)) if isinstance(x, np.ndarray) else x)
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def float_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """The floating-point type that carries values of ``dtype``."""
    return np.float64 if dtype.kind == "f" and dtype.itemsize >= 8 else np.float32


def infer_levels(name: str, x: np.ndarray[Any, Any], levels: int | None) -> int:
    """How many levels the integers ``x`` have: as told, else all of an unsigned type's 8 or 16 bits, else maximum + 1.

    Raises:
        DataError: negative values.
    """
    if levels is not None:
        return levels
    if x.dtype.kind == "b":
        return 2
    if x.dtype.kind == "u" and x.dtype.itemsize <= 2:
        return int(np.iinfo(x.dtype).max) + 1
    if x.size and x.min() < 0:
        raise DataError(f"{name}: integer data must not be negative, got {x.min()}")
    return int(x.max()) + 1 if x.size else 1


def _check_values(name: str, x: Tensor, levels: int | None) -> None:
    low, high = (value.item() for value in torch.aminmax(x))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name}: holds values that are not finite; remove or fill them first")
    if levels is None:
        return
    if low < 0 or high > levels - 1:
        raise DataError(f"{name}: expected values 0..{levels - 1} ({levels} levels), got {low:g}..{high:g}")
    if not torch.equal(x, x.round()):
        raise DataError(f"{name}: expected whole numbers for {levels} levels, got fractions")
