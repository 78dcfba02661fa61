"""IDX files, plain or gzipped, and the four of them that make MNIST (LeCun, Cortes, Burges 1998)."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.dataset import Dataset, as_float, infer_levels, split
from pushforward.data.sources import require_file, require_folder
from pushforward.errors import DataError

IDX_MAGIC = b"\0\0"
GZIP_MAGIC = b"\x1f\x8b"
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
_MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
}
_MNIST_LABELS = {
    "train": ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    "test": ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read one IDX file, plain or gzipped, into an array of the type and shape that its header states.

    Raises:
        DataError: the file is missing, no IDX file, truncated, or longer than its header says.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_idx(f"{folder}/x", np.arange(3, dtype=np.uint8))
        ...     read_idx(f"{folder}/x")
        array([0, 1, 2], dtype=uint8)
    """
    file = require_file(path)
    content = file.read_bytes()
    try:
        x = decode_idx(gunzipped(content) if content.startswith(GZIP_MAGIC) else content)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    return x.astype(x.dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], x: np.ndarray[Any, Any]) -> None:
    """Write an array as an IDX file, gzipped where the name ends in ``.gz``.

    Raises:
        DataError: IDX has no code for the array's type.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_idx(f"{folder}/x.gz", np.zeros((2, 4), dtype=np.float32))
        ...     read_idx(f"{folder}/x.gz").shape
        (2, 4)
    """
    from pushforward.files import atomic_write

    try:
        content = encode_idx(x)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    atomic_write(path, gzipped(content) if str(path).endswith(".gz") else content)


def decode_idx(content: bytes) -> np.ndarray[Any, Any]:
    """The array of an IDX file that is not gzipped, in the file's byte order.

    Raises:
        DataError: it is no IDX file, truncated, or longer than its header says.

    >>> decode_idx(encode_idx(np.array([[1, 2]], np.uint8)))
    array([[1, 2]], dtype=uint8)
    """
    if len(content) < 4 or not content.startswith(IDX_MAGIC) or content[2] not in _TYPES:
        raise DataError(f"not an IDX file (expected a magic number 00 00 type dimensions, got {content[:4]!r})")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"truncated IDX file, its header needs {start} bytes and there are {len(content)}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    kind = np.dtype(_TYPES[content[2]])
    expected = start + kind.itemsize * math.prod(shape)
    if len(content) != expected:
        fault = "truncated IDX file" if len(content) < expected else "IDX file with bytes past its end"
        raise DataError(f"{fault}, shape {shape} takes {expected} bytes and there are {len(content)}")
    try:
        return np.frombuffer(content[start:], kind).reshape(shape)
    except ValueError as error:
        raise DataError(f"no array has the shape {shape} of this IDX file ({error})") from error


def encode_idx(x: np.ndarray[Any, Any]) -> bytes:
    """What an IDX file of an array holds.

    Raises:
        DataError: IDX has no code for the array's type.
    """
    code = _CODES.get(x.dtype.newbyteorder("="))
    if code is None:
        raise DataError(f"IDX cannot hold {x.dtype}; expected one of {', '.join(str(kind) for kind in _CODES)}")
    header = struct.pack(f">BBBB{x.ndim}I", 0, 0, code, x.ndim, *x.shape)
    return header + x.astype(_TYPES[code]).tobytes()


def gzipped(content: bytes) -> bytes:
    """A gzip file without a time stamp, so that the same array gives the same file."""
    return gzip.compress(content, mtime=0)


def gunzipped(content: bytes) -> bytes:
    """What is in a gzip file.

    Raises:
        DataError: it is damaged or truncated.
    """
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"damaged or truncated gzip file ({error})") from error


def load_idx(path: str | os.PathLike[str], levels: int | None = None) -> Dataset:
    """Images from one IDX file of shape ``(N, H, W)`` or ``(N, C, H, W)``, split 80/10/10.

    Raises:
        DataError: whatever `read_idx` refuses, or another shape.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_idx(f"{folder}/images.gz", np.zeros((20, 5, 5), dtype=np.uint8))
        ...     data = load_idx(f"{folder}/images.gz")
        >>> data.event_shape, data.levels
        ((1, 5, 5), 256)
    """
    x = read_idx(path)
    name = Path(path).name
    if x.dtype.kind == "f":
        raise DataError(f"{path}: expected integer images, got {x.dtype}")
    return split(name, _as_images(str(path), x), infer_levels(name, x, levels))


def load_mnist(folder: str | os.PathLike[str]) -> Dataset:
    """MNIST from the folder that holds its image files (plain or .gz): 50,000 train, 10,000 validate, 10,000 test.

    Any data in MNIST's form works (FashionMNIST, smaller sets): the last sixth of the training file validates.

    Raises:
        DataError: a missing or damaged file, or images of differing sizes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for part, count in (("train", 12), ("t10k", 3)):
        ...         write_idx(f"{folder}/{part}-images-idx3-ubyte", np.zeros((count, 28, 28), dtype=np.uint8))
        ...     data = load_mnist(folder)
        >>> len(data.train), len(data.validation), len(data.test)
        (10, 2, 3)
    """
    place = require_folder(folder)
    arrays = {part: _as_images(str(place), read_idx(_find(place, names))) for part, names in _MNIST_FILES.items()}
    for part, x in arrays.items():
        if x.dtype != np.uint8:
            raise DataError(f"{place}: expected bytes in the {part} images, got {x.dtype}")
    train = as_float(arrays["train"])
    first = _first_to_validate(len(train))
    return Dataset("mnist", train[:first], train[first:], as_float(arrays["test"]), levels=256)


def mnist_labels(folder: str | os.PathLike[str]) -> tuple[np.ndarray[Any, Any], ...]:
    """The labels that lie beside MNIST's images, in the parts of `load_mnist`.

    Raises:
        DataError: a missing or damaged file.
    """
    place = require_folder(folder)
    train, test = (read_idx(_find(place, _MNIST_LABELS[part])) for part in ("train", "test"))
    first = _first_to_validate(len(train))
    return train[:first], train[first:], test


def _first_to_validate(rows: int) -> int:
    return rows - max(1, rows // 6)


def _find(folder: Path, names: tuple[str, ...]) -> Path:
    candidates = [folder / f"{name}{ending}" for name in names for ending in ("", ".gz")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder}: expected the file {names[0]} (or {names[0]}.gz) in it, found none")


def _as_images(name: str, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if x.ndim not in (3, 4) or x.size == 0:
        raise DataError(f"{name}: expected images (N, H, W) or (N, C, H, W), got shape {x.shape}")
    return x[:, None] if x.ndim == 3 else x
