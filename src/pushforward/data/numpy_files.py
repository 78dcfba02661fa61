"""What is in NumPy files: the one array of ``.npy``, the named ones of ``.npz``."""

from __future__ import annotations

import os
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.compression import DAMAGE
from pushforward.data.sources import require_file
from pushforward.errors import DataError

#: The endings of NumPy files.
NUMPY_ENDINGS = (".npy", ".npz")

Arrays = dict[str, NDArray[Any]]


def read_arrays(path: str | os.PathLike[str]) -> Arrays:
    """The arrays of a ``.npy`` (under ``data``) or ``.npz`` file by name, in the machine's byte order.

    Raises:
        DataError: missing, damaged or foreign file, or one that holds Python objects.
    """
    file = require_file(path)
    try:
        loaded = np.load(file, allow_pickle=False)
        if not hasattr(loaded, "files"):
            return {"data": _native(loaded)}
        with loaded:
            return {key: _native(loaded[key]) for key in loaded.files}
    except (ValueError, KeyError, SyntaxError, TypeError, tokenize.TokenError, *DAMAGE) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"{file}: not a readable NumPy file ({reason})") from error


def read_array(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array that a ``.npy`` or ``.npz`` file holds, or one of several that is named: ``FILE.npz:NAME``.

    Raises:
        DataError: missing, damaged or foreign file, no such array, or several of which none is named.
    """
    file, name = split_name(path)
    arrays = read_arrays(file)
    if name is not None:
        return named(file, arrays, name)
    if len(arrays) != 1:
        raise DataError(
            f"{file}: expected one array, found {', '.join(arrays) or 'none'}; name one of them: {file}:NAME"
        )
    return next(iter(arrays.values()))


def split_name(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """The file and the name of the array in ``FILE.npz:NAME``; None where there is no name.

    Example:
        >>> split_name("a.npz:images")[1], split_name("a.npz")[1]
        ('images', None)
    """
    text = str(path)
    file, colon, name = text.rpartition(":")
    if colon and file.lower().endswith(NUMPY_ENDINGS) and not Path(text).exists():
        return Path(file), name
    return Path(text), None


def named(file: Path, arrays: Arrays, name: str) -> NDArray[Any]:
    """The array of a name.

    Raises:
        DataError: there is none.
    """
    if name not in arrays:
        raise DataError(f"{file}: expected an array {name!r}, found {', '.join(arrays) or 'none'}")
    return arrays[name]


def _native(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(x.dtype.newbyteorder("="), copy=False)
