"""CIFAR-10 in its binary version (Krizhevsky 2009): 3073 bytes a record, a label and 32x32 pixels of three planes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Dataset, as_float
from pushforward.data.sources import require_folder
from pushforward.errors import DataError

_RECORD = 1 + 3 * 32 * 32
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = "test_batch.bin"


def load_cifar10(folder: str | os.PathLike[str]) -> Dataset:
    """CIFAR-10 from the folder of its binary batches; images ``(3, 32, 32)`` of 256 levels.

    ``data_batch_1.bin`` to ``data_batch_5.bin`` (those that are there) train, their last tenth validates (5,000 of
    50,000), ``test_batch.bin`` tests.

    Raises:
        DataError: a missing file, a size that is no multiple of 3073 bytes, labels past 9.

    Example:
        >>> import tempfile
        >>> image = bytes([7]) + bytes(3072)  # its label, then its pixels
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("data_batch_1.bin", "test_batch.bin"):
        ...         with open(f"{folder}/{name}", "wb") as file:
        ...             _ = file.write(20 * image)
        ...     data = load_cifar10(folder)
        >>> data.event_shape, len(data.train), len(data.test)
        ((3, 32, 32), 18, 20)
    """
    train, validation, test = (as_float(_images(records)) for records in _parts(folder))
    return Dataset("cifar10", train, validation, test, levels=256)


def cifar10_labels(folder: str | os.PathLike[str]) -> tuple[NDArray[Any], ...]:
    """What each image shows, 0 to 9, in the parts of `load_cifar10`; raises what that does."""
    return tuple(records[:, 0] for records in _parts(folder))


def _parts(folder: str | os.PathLike[str]) -> tuple[NDArray[np.uint8], ...]:
    place = require_folder(folder)
    batches = [place / name for name in _TRAIN if (place / name).is_file()]
    if not batches or not (place / _TEST).is_file():
        raise DataError(f"{place}: expected CIFAR-10's binary files {_TRAIN[0]}.. and {_TEST} in it; some are missing")
    train = np.concatenate([_read_batch(path) for path in batches])
    first = len(train) - max(1, len(train) // 10)
    return train[:first], train[first:], _read_batch(place / _TEST)


def _images(records: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return records[:, 1:].reshape(-1, 3, 32, 32)


def _read_batch(path: Path) -> NDArray[np.uint8]:
    content = np.fromfile(path, dtype=np.uint8)
    if content.size == 0 or content.size % _RECORD:
        raise DataError(f"{path}: truncated, expected a multiple of {_RECORD} bytes, got {content.size}")
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise DataError(f"{path}: not a CIFAR-10 batch, labels must be 0..9 and there is a {records[:, 0].max()}")
    return records
