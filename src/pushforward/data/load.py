"""One line that names any data set: a name, a kind and a path, or a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pushforward.data.arrays import load_arrays
from pushforward.data.cifar10 import load_cifar10
from pushforward.data.dataset import Dataset
from pushforward.data.digits import load_digits
from pushforward.data.folders import load_image_folder
from pushforward.data.idx import load_idx, load_mnist
from pushforward.data.molecules import load_smiles
from pushforward.data.numpy_files import NUMPY_ENDINGS, split_name
from pushforward.data.table_files import is_table
from pushforward.data.tables import load_table
from pushforward.data.toys import TOYS, load_picture_density, load_toy
from pushforward.data.video import load_balls, load_clips, load_movement, load_moving_digits, load_moving_mnist
from pushforward.errors import DataError, UsageError

KINDS = {
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "folder": load_image_folder,
    "picture": load_picture_density,
    "clips": load_clips,
    "moving-mnist": load_moving_mnist,
    "smiles": load_smiles,
}
#: Clips that are generated.
CLIPS = {"movement": load_movement, "balls": load_balls, "moving-digits": load_moving_digits}


def load_data(spec: str, levels: int | None = None, columns: Sequence[str] = (), drop: Sequence[str] = ()) -> Dataset:
    """Load the data that ``spec`` names.

    ``digits``; a toy density (``moons``, ``rings``, ``checkerboard``, ``pinwheel``, ``spirals``, ``gaussians``);
    clips (``movement``, ``balls``, ``moving-digits``); ``mnist:FOLDER``, ``cifar10:FOLDER``, ``folder:FOLDER``
    (pictures), ``picture:FILE`` (as a 2-D density), ``clips:FOLDER`` (of ``.npy``), ``moving-mnist:FOLDER``,
    ``smiles:FILE`` (molecules of at most 9 atoms as graphs); or a path:
    ``.npz`` (of several arrays one is named, ``FILE.npz:NAME``), ``.npy``, ``.csv`` and ``.tsv`` (also compressed),
    ``.parquet``, an IDX file, a folder of pictures.

    Args:
        spec: what to load.
        levels: how many values an element may take, where the file does not say.
        columns: the columns of a table that are taken, all by default.
        drop: those that are not.

    Raises:
        DataError: nothing of that name, or a file that cannot be used.
        UsageError: columns of what is no table.

    Example:
        >>> load_data("digits").name
        'digits'
    """
    if columns or drop or table_path(spec):
        return _load_table(spec, levels, columns, drop)
    data = _load(spec, levels)
    if levels is None:
        note = _unused_levels(data)
        return data if note is None else replace(data, notes=(*data.notes, note))
    return data if data.levels == levels else replace(data, levels=levels)


def _unused_levels(data: Dataset) -> str | None:
    """A note on data of which most levels are there for their type's sake, as of bits stored in bytes."""
    if data.levels not in (2**8, 2**16):
        return None
    largest = max(int(x.max()) for x in data.parts().values())
    if 2 * (largest + 1) >= data.levels:
        return None
    needed = max(2, largest + 1)
    return (
        f"{data.name}: {data.levels} levels, as its type holds, and no value above {largest}; give --levels {needed} "
        "if none can be"
    )


def table_path(spec: str) -> Path | None:
    """The file of a table that ``spec`` names; None where it names something else.

    Example:
        >>> table_path("digits"), table_path("a.csv.gz")
        (None, PosixPath('a.csv.gz'))
    """
    if spec.partition(":")[0] in KINDS:
        return None
    path = Path(spec).expanduser()
    return path if is_table(path) and not path.is_dir() else None


def _load_table(spec: str, levels: int | None, columns: Sequence[str], drop: Sequence[str]) -> Dataset:
    path = table_path(spec)
    if path is None:
        raise UsageError(f"columns can be chosen of a table alone, and {spec} is none")
    _require(path)
    return load_table(path, columns, drop, levels)


def _load(spec: str, levels: int | None) -> Dataset:
    if spec == "digits":
        return load_digits()
    if spec in TOYS:
        return load_toy(spec)
    if spec in CLIPS:
        return CLIPS[spec]()
    kind, colon, path = spec.partition(":")
    if colon and kind in KINDS:
        return KINDS[kind](Path(path).expanduser())
    return _load_path(Path(spec).expanduser(), levels)


def _load_path(path: Path, levels: int | None) -> Dataset:
    file, _ = split_name(path)
    _require(file)
    if path.is_dir():
        return load_image_folder(path)
    if file.suffix.lower() in NUMPY_ENDINGS:
        return load_arrays(path, levels)
    if "idx" in path.name or path.suffix in (".idx", ".gz"):
        return load_idx(path, levels)
    raise DataError(
        f"{path}: unknown kind of file; expected .npz, .npy, .csv, .tsv (also .gz, .bz2, .xz, .zst, .zip), .parquet, "
        f"IDX or a folder"
    )


def _require(path: Path) -> None:
    if not path.exists():
        names = ", ".join(["digits", *TOYS, *CLIPS, *(f"{kind}:PATH" for kind in KINDS)])
        raise DataError(f"{path}: no such file, folder or data set (known: {names}, or a path)")
