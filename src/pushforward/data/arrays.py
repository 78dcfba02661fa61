"""NumPy files as data sets: one array, named ones, or a training part with others beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Dataset, as_float, infer_levels, split
from pushforward.data.layouts import event_layout, fractions_as_levels
from pushforward.data.numpy_files import Arrays, named, read_arrays, split_name
from pushforward.errors import DataError

_PARTS = {
    "train": ("train", "x_train", "train_x", "train_images", "X_train"),
    "validation": ("validation", "valid", "val", "x_valid", "x_val", "val_images", "X_val"),
    "test": ("test", "x_test", "test_x", "test_images", "X_test"),
}
#: Names of arrays that say something about the events and are none.
_LABELS = ("label", "labels", "target", "targets", "y", "class", "classes", "ids", "index")


def load_arrays(path: str | os.PathLike[str], levels: int | None = None) -> Dataset:
    """Read arrays ``(N, D)``, ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)`` from ``.npy`` or ``.npz``.

    An ``.npz`` file may hold ``train``, ``validation`` and ``test`` (or names like ``x_train``), of which all but the
    first may be missing, the number of ``levels``, and labels, which are left out. A single array, or the one named in
    ``FILE.npz:NAME``, is split 80/10/10. Integers are discrete data: of as many levels as told or stored, else 256 for
    8 bits, 65536 for 16, else their maximum + 1. Floats are continuous, but for pictures of fractions 0..1: these are
    discrete where ``levels`` are told or all are multiples of 1/255. What is recognised is in the notes.

    Raises:
        DataError: missing, damaged or foreign file, several arrays of which none is named, wrong shape or type, values
            outside the levels.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.zeros((20, 3)))
        ...     data = load_arrays(f"{folder}/x.npy")
        >>> data.train.shape, data.levels
        (torch.Size([16, 3]), None)
    """
    file, name = split_name(path)
    arrays = read_arrays(file)
    stored = arrays.pop("levels", None)
    if levels is None and stored is not None:
        levels = _stored_levels(file, stored)
    if name is not None:
        return _dataset(file, {name: named(file, arrays, name)}, levels)
    parts = {part: next((arrays[key] for key in keys if key in arrays), None) for part, keys in _PARTS.items()}
    present = {part: x for part, x in parts.items() if x is not None}
    if "train" in present:
        return _dataset(file, present, levels)
    return _dataset(file, _only(file, arrays), levels)


def _dataset(file: Path, arrays: Arrays, levels: int | None) -> Dataset:
    """One array split, or a training part with the others that there are."""
    names = [file.name if len(arrays) == 1 else f"{file.name}, {name}" for name in arrays]
    shaped, notes = zip(*map(event_layout, names, arrays.values()))
    _check_shapes(file, dict(zip(arrays, shaped)))
    # The levels are those of all parts together.
    joined, levels, note = _with_levels(file, np.concatenate(shaped), levels)
    told = [note for note in (*notes, note) if note is not None]
    if "train" not in arrays:
        return split(file.name, joined, levels, notes=tuple(told))
    parts = dict(zip(arrays, np.split(joined, np.cumsum([len(x) for x in shaped])[:-1])))
    missing = [part for part in _PARTS if part not in parts]
    if missing:
        told.append(f"{file.name}: a tenth of the training rows is taken for each missing part ({', '.join(missing)})")
    whole = _with_missing(file, parts, missing)
    train, validation, test = (as_float(whole[part]) for part in _PARTS)
    return Dataset(file.name, train, validation, test, levels, notes=tuple(told))


def _check_shapes(file: Path, parts: Arrays) -> None:
    shapes = {x.shape[1:] for x in parts.values()}
    if len(shapes) > 1:
        told = ", ".join(f"{name} {x.shape[1:]}" for name, x in parts.items())
        raise DataError(f"{file}: its parts hold events of different shapes ({told}); they must agree")


def _with_missing(file: Path, parts: Arrays, missing: list[str]) -> Arrays:
    """The parts with those that are missing, each a tenth of the training rows drawn without replacement."""
    if not missing:
        return parts
    train = parts["train"]
    order, tenth = np.random.default_rng(0).permutation(len(train)), len(train) // 10
    if tenth == 0:
        raise DataError(
            f"{file}: {len(train)} training rows are too few to take a {missing[0]} part from; 10 are needed"
        )
    cut = {part: train[order[-tenth * (index + 1) :][:tenth]] for index, part in enumerate(missing)}
    return parts | cut | {"train": train[order[: -tenth * len(missing)]]}


def _only(file: Path, arrays: Arrays) -> Arrays:
    """The one array that holds events."""
    events = {name: x for name, x in arrays.items() if name.lower() not in _LABELS}
    if len(events) != 1:
        raise DataError(
            f"{file}: expected one array, or a training part, found {', '.join(arrays) or 'none'}; name one of them: "
            f"{file}:NAME"
        )
    return events


def _stored_levels(file: Path, stored: NDArray[Any]) -> int:
    if stored.size != 1 or stored.dtype.kind not in "iuf" or stored.item() < 2 or stored.item() % 1:
        raise DataError(f"{file}: expected in levels one whole number of at least 2, got {stored.tolist()!r}")
    return int(stored.item())


def _with_levels(file: Path, x: NDArray[Any], levels: int | None) -> tuple[NDArray[Any], int | None, str | None]:
    if x.dtype.kind in "iub":
        return x, infer_levels(file.name, x, levels), None
    return fractions_as_levels(file.name, x, levels)
