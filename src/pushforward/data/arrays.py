"""NumPy files: ``.npy`` with one array, ``.npz`` with one array or with a training, a validation and a test part."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.dataset import Dataset, as_float, infer_levels, split
from pushforward.data.sources import require_file
from pushforward.errors import DataError

_PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}


def load_arrays(path: str | os.PathLike[str], levels: int | None = None) -> Dataset:
    """Read integer arrays ``(N, D)``, ``(N, H, W)``, ``(N, C, H, W)`` or float ones from ``.npy`` or ``.npz``.

    An ``.npz`` file may hold ``train``, ``validation`` and ``test``, and the number of ``levels``; a single array is
    split 80/10/10. Integers are discrete data: of as many levels as told or stored, else 256 for 8 bits, 65536 for 16,
    else their maximum + 1. Floats are continuous.

    Raises:
        DataError: missing, damaged or foreign file, wrong shape or type, values outside the levels.
    """
    file = require_file(path)
    arrays = _read(file)
    stored = arrays.pop("levels", None)
    if levels is None and stored is not None:
        levels = int(stored)
    named = {part: next((arrays[key] for key in keys if key in arrays), None) for part, keys in _PARTS.items()}
    present = {part: x for part, x in named.items() if x is not None}
    if not present:
        return _single(file, arrays, levels)
    if len(present) < 3:
        missing = ", ".join(part for part in _PARTS if part not in present)
        raise DataError(f"{file}: holds {', '.join(present)} but not {missing}; give all three parts or a single array")
    shaped = {part: _shape(file, part, x) for part, x in present.items()}
    found = _levels(file, np.concatenate([x.ravel() for x in shaped.values()]), levels)
    return Dataset(
        file.name, as_float(shaped["train"]), as_float(shaped["validation"]), as_float(shaped["test"]), found
    )


def read_array(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """The one array that a ``.npy`` or ``.npz`` file holds.

    Raises:
        DataError: missing, damaged or foreign file, or more than one array.
    """
    file = require_file(path)
    arrays = _read(file)
    if len(arrays) != 1:
        raise DataError(f"{file}: expected one array, found {len(arrays)} ({', '.join(arrays) or 'none'})")
    return next(iter(arrays.values()))


def _read(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        loaded = np.load(file, allow_pickle=False)
        return {key: loaded[key] for key in loaded.files} if hasattr(loaded, "files") else {"data": loaded}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{file}: not a readable NumPy file ({str(error).splitlines()[0]})") from error


def _single(file: Path, arrays: dict[str, np.ndarray[Any, Any]], levels: int | None) -> Dataset:
    if len(arrays) != 1:
        names = ", ".join(arrays) or "none"
        raise DataError(f"{file}: expected one array, or train, validation and test; found {names}")
    x = _shape(file, *next(iter(arrays.items())))
    return split(file.name, x, _levels(file, x, levels))


def _shape(file: Path, name: str, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if x.dtype.kind not in "iufb":
        raise DataError(f"{file}: expected numbers in {name}, got {x.dtype}")
    if x.ndim not in (2, 3, 4) or x.size == 0:
        raise DataError(f"{file}: expected (N, D), (N, H, W) or (N, C, H, W) in {name}, got shape {x.shape}")
    return x[:, None] if x.ndim == 3 else x


def _levels(file: Path, x: np.ndarray[Any, Any], levels: int | None) -> int | None:
    if x.dtype.kind == "b":
        return 2
    return infer_levels(file.name, x, levels) if x.dtype.kind in "iu" else levels
