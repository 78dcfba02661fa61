"""One line that names any data set: a name, a kind and a path, or a path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pushforward.data.arrays import load_arrays
from pushforward.data.cifar10 import load_cifar10
from pushforward.data.dataset import Dataset
from pushforward.data.digits import load_digits
from pushforward.data.folders import load_image_folder
from pushforward.data.idx import load_idx, load_mnist
from pushforward.data.tables import is_table, load_table
from pushforward.data.toys import TOYS, load_picture_density, load_toy
from pushforward.errors import DataError

KINDS = {"mnist": load_mnist, "cifar10": load_cifar10, "folder": load_image_folder, "picture": load_picture_density}


def load_data(spec: str, levels: int | None = None) -> Dataset:
    """Load the data that ``spec`` names.

    ``digits``; a toy density (``moons``, ``rings``, ``checkerboard``, ``pinwheel``, ``spirals``, ``gaussians``);
    ``mnist:FOLDER``, ``cifar10:FOLDER``, ``folder:FOLDER`` (pictures), ``picture:FILE`` (as a 2-D density); or a path:
    ``.npz``, ``.npy``, ``.csv``, ``.csv.gz``, ``.parquet``, an IDX file, a folder of pictures.

    Args:
        spec: what to load.
        levels: how many values an element may take, where the file does not say.

    Raises:
        DataError: nothing of that name, or a file that cannot be used.

    Example:
        >>> load_data("digits").name
        'digits'
    """
    data = _load(spec, levels)
    return data if levels is None or data.levels == levels else replace(data, levels=levels)


def _load(spec: str, levels: int | None) -> Dataset:
    if spec == "digits":
        return load_digits()
    if spec in TOYS:
        return load_toy(spec)
    kind, colon, path = spec.partition(":")
    if colon and kind in KINDS:
        return KINDS[kind](Path(path).expanduser())
    return _load_path(Path(spec).expanduser(), levels)


def _load_path(path: Path, levels: int | None) -> Dataset:
    if not path.exists():
        names = ", ".join(["digits", *TOYS, *(f"{kind}:PATH" for kind in KINDS)])
        raise DataError(f"{path}: no such file, folder or data set (known: {names}, or a path)")
    if path.is_dir():
        return load_image_folder(path)
    if path.suffix in (".npz", ".npy"):
        return load_arrays(path, levels)
    if is_table(path):
        return load_table(path)
    if "idx" in path.name or path.suffix in (".idx", ".gz"):
        return load_idx(path, levels)
    raise DataError(f"{path}: unknown kind of file; expected .npz, .npy, .csv, .csv.gz, .parquet, IDX or a folder")
