"""Files that may be compressed: their plain ending, and the bytes inside."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from pushforward.errors import DataError
from pushforward.extras import requires

#: What a damaged or truncated compressed file raises while it is read.
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def plain_suffix(path: str | os.PathLike[str]) -> str:
    """The ending of a name in small letters, without that of a compression.

    Example:
        >>> plain_suffix("table.CSV.gz"), plain_suffix("table.csv"), plain_suffix("table")
        ('.csv', '.csv', '')
    """
    name = Path(str(path).lower())
    return Path(name.stem).suffix if name.suffix in _OPENERS else name.suffix


def open_plain(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file, compressed or not by its ending, as the bytes that are inside.

    Raises:
        DataError: a zip archive that does not hold exactly one file.
    """
    opener: Callable[[str], Any] = _OPENERS.get(Path(path).suffix.lower(), _open)
    return opener(str(path))


def _open(path: str) -> BinaryIO:
    return open(path, "rb")


def _open_zip(path: str) -> Any:
    archive = zipfile.ZipFile(path)
    members = [member for member in archive.namelist() if not member.endswith("/")]
    if len(members) != 1:
        archive.close()
        raise DataError(f"{path}: expected a zip archive of one table, got {len(members)} files; unpack it first")
    return archive.open(members[0])


def _open_zstandard(path: str) -> Any:
    with requires("data", purpose="a .zst file"):
        import pyarrow

    return pyarrow.input_stream(path, compression="zstd")


_OPENERS: dict[str, Callable[[str], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zip": _open_zip,
    ".zst": _open_zstandard,
}
