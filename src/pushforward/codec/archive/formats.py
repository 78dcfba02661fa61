"""Files as arrays and back: NumPy, IDX and PNG files by their content, any other file by its bytes.

A file is taken for one of a format only if it can be written again from what was read, pixel for pixel; a PNG that the
library would flatten, a pickled array, a broken picture all go in as bytes, and come out as the same bytes.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np

from pushforward.codec.archive.entry import Entry, Piece
from pushforward.codec.archive.numpy_files import NPY_MAGIC, NPZ_MAGIC, read_npy, read_npz, write_npy, write_npz
from pushforward.codec.archive.png import MAGIC as PNG_MAGIC
from pushforward.codec.archive.png import read_png, write_png
from pushforward.data.idx import GZIP_MAGIC, IDX_MAGIC, decode_idx, encode_idx, gunzipped, gzipped
from pushforward.errors import CodecError, DataError

ARRAY, NPY, NPZ, IDX, PNG, FILE = range(6)
KINDS = ("array", "npy", "npz", "idx", "png", "file")
_BROKEN = (ValueError, KeyError, struct.error, DataError)


def read_entries(content: bytes, name: str) -> list[Entry]:
    """The arrays of one file, named as it is; a file of several arrays gives several entries of one name."""
    for kind, magic, read in _READERS:
        if not content.startswith(magic):
            continue
        try:
            pieces = read(content)
            if pieces and _reads_the_same(pieces, kind, content, read):
                return [Entry(array, name, kind, extra) for array, extra in pieces]
        except (*_BROKEN, OSError, EOFError, SyntaxError, zlib.error, zipfile.BadZipFile):
            continue
    return [Entry(np.frombuffer(content, np.uint8), name, FILE)]


def read_folder(folder: Path) -> list[Entry]:
    """All files below a folder, named by their places in it, the folder's own name first.

    Raises:
        DataError: if there is no file.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise DataError(f"{folder}: expected files in the folder, found none")
    top = folder.resolve().name
    entries: list[Entry] = []
    for path in files:
        entries += read_entries(read_bytes(path), str(PurePosixPath(top, *path.relative_to(folder).parts)))
    return entries


def read_bytes(path: Path) -> bytes:
    """What is in a file.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def write_files(entries: Iterable[Entry]) -> list[tuple[str, bytes]]:
    """The names and contents of the files that the entries came from.

    Raises:
        CodecError: if an entry is of an unknown kind or does not fit its kind.
    """
    files = []
    for (name, kind), group in groupby(entries, key=lambda entry: (entry.name, entry.kind)):
        try:
            files.append((name, _WRITERS[kind]([(entry.array, entry.extra) for entry in group])))
        except (*_BROKEN, OSError, TypeError, IndexError) as error:
            raise CodecError(f"the entry {name!r} cannot be made a file again ({error})") from error
    return files


def safe_path(name: str) -> PurePosixPath:
    """A stored name as a path below the folder that is written to.

    Raises:
        CodecError: if the name would lead out of the folder.

    >>> safe_path("faces/a.png")
    PurePosixPath('faces/a.png')
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name or ":" in name:
        raise CodecError(f"the file holds the name {name!r}, which leads out of the folder: it is not written")
    return path


def _reads_the_same(pieces: list[Piece], kind: int, content: bytes, read: Reader) -> bool:
    """Whether the file made of the pieces gives the same arrays and extras."""
    again = _WRITERS[kind](pieces)
    if again == content:
        return True
    back = read(again)
    return len(back) == len(pieces) and all(
        first_extra == second_extra
        and first.dtype == second.dtype
        and first.shape == second.shape
        and first.tobytes() == second.tobytes()
        for (first, first_extra), (second, second_extra) in zip(back, pieces)
    )


def _read_idx(content: bytes) -> list[Piece]:
    return [(decode_idx(content), b"")]


def _read_gzipped_idx(content: bytes) -> list[Piece]:
    return [(decode_idx(gunzipped(content)), b"gz")]


def _write_idx(pieces: list[Piece]) -> bytes:
    ((array, extra),) = pieces
    content = encode_idx(array)
    return gzipped(content) if extra else content


def _write_bytes(pieces: list[Piece]) -> bytes:
    ((array, _),) = pieces
    return array.tobytes()


Reader = Callable[[bytes], list[Piece]]
_READERS: tuple[tuple[int, bytes, Reader], ...] = (
    (NPY, NPY_MAGIC, read_npy),
    (NPZ, NPZ_MAGIC, read_npz),
    (IDX, IDX_MAGIC, _read_idx),
    (IDX, GZIP_MAGIC, _read_gzipped_idx),
    (PNG, PNG_MAGIC, read_png),
)
_WRITERS: dict[int, Callable[[list[Piece]], bytes]] = {
    ARRAY: write_npy,
    NPY: write_npy,
    NPZ: write_npz,
    IDX: _write_idx,
    PNG: write_png,
    FILE: _write_bytes,
}
