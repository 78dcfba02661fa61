"""Files as arrays and back: NumPy, IDX and PNG files by their content, any other file by its bytes.

A file is taken for one of a format only if the very same bytes can be made of what was read: a PNG file that was
deflated in an unknown way, a pickled array, a broken picture all go in as bytes.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.codec.archive import enclosed, pillow_png, png
from pushforward.codec.archive.deflate import ENGINE
from pushforward.codec.archive.entry import Entry, File, Piece
from pushforward.codec.archive.idx_files import parse_gzipped_idx, parse_idx
from pushforward.codec.archive.numpy_files import NPY_MAGIC, NPZ_MAGIC, parse_npy, parse_npz
from pushforward.codec.archive.png_chunks import MAGIC as PNG_MAGIC
from pushforward.data.idx import GZIP_MAGIC, IDX_MAGIC
from pushforward.errors import CodecError

ARRAY, NPY, NPZ, IDX, PNG, FILE, GZIPPED_IDX = range(7)
KINDS = ("array", "npy", "npz", "idx", "png", "file", "gzipped idx")
_SEALED = (NPZ, PNG, GZIPPED_IDX)
_SEAL = 4


@dataclass(frozen=True)
class Format:
    """How files of one kind are taken apart: exactly, with their contents alone, or with their arrays alone."""

    kind: int
    magic: bytes
    parse: Callable[[bytes], Any]
    settle: Callable[[Any], list[Piece] | None]
    settle_anew: Callable[[Any], tuple[list[Piece], list[str]]] | None
    arrays: Callable[[Any], list[NDArray[Any]]]


@dataclass(frozen=True)
class Opened:
    """A file and its arrays, none where it is but bytes; ``lost`` says what of the file these do not keep."""

    file: File
    entries: list[Entry] = field(default_factory=list)
    lost: Sequence[str] = ()

    @property
    def stored(self) -> Entry:
        """The file's own bytes as an entry."""
        content = self.file.content
        return Entry(np.frombuffer(content, np.uint8), self.file.name, FILE, b"", self.file.mode, len(content))


def open_file(file: File) -> Opened:
    """The arrays of a file, if the very same file can be made of them again."""
    for form, parsed in _parsed(file.content):
        pieces = _quietly(form.settle, parsed)
        if pieces is not None and _quietly(_WRITERS[form.kind], pieces) == file.content:
            return Opened(file, _entries(file, form.kind, pieces, file.content))
    return Opened(file)


def open_contents(file: File) -> Opened:
    """The arrays of a file alone: of these a file with the same pixels or numbers can be made, not the same bytes."""
    for form, parsed in _parsed(file.content):
        if form.settle_anew is None:
            continue
        pieces, lost = form.settle_anew(parsed)
        content = _WRITERS[form.kind](pieces)
        if _same(form.arrays(form.parse(content)), form.arrays(parsed)):
            return Opened(file, _entries(file, form.kind, pieces, content), lost)
    return open_file(file)


def read_entries(content: bytes, name: str) -> list[Entry]:
    """The arrays of one file, named as it is, or else its bytes; several arrays give several entries of one name."""
    opened = open_file(File(name, content))
    return opened.entries or [opened.stored]


def read_arrays(content: bytes) -> list[NDArray[Any]]:
    """The arrays of one file, none where it is of no known format."""
    for form, parsed in _parsed(content):
        return form.arrays(parsed)
    return []


def write_files(entries: Iterable[Entry]) -> list[File]:
    """The files that the entries came from.

    Raises:
        CodecError: if an entry is of an unknown kind, does not fit its kind, or gives another file here than where it
            was read.
    """
    files = []
    for group in _by_file(list(entries)):
        files.append(_made(group))
        if group[0].kind in _SEALED and group[0].extra[:_SEAL] != _seal(files[-1].content):
            raise CodecError(_deflated_elsewhere(group[0]))
    return files


def write_shown(entries: Iterable[Entry]) -> list[File]:
    """The files of entries whose arrays are a preview: not those that they came from.

    Raises:
        CodecError: as :func:`write_files` does.
    """
    return [_made(group) for group in _by_file(list(entries))]


def _made(group: Sequence[Entry]) -> File:
    """The file of its entries."""
    first = group[0]
    sealed = _SEAL if first.kind in _SEALED else 0
    try:
        pieces = [(entry.array, entry.extra[0 if index else sealed :]) for index, entry in enumerate(group)]
        return File(first.name, _WRITERS[first.kind](pieces), first.mode)
    # What a forged entry may do in a reader of headers is not for us to list.
    except Exception as error:
        raise CodecError(f"the entry {first.name!r} cannot be made a file again ({error})") from error


def _deflated_elsewhere(first: Entry) -> str:
    extra = first.extra[_SEAL:]
    needed = png.engine_of(extra) if first.kind == PNG else enclosed.engine_of(extra)
    return (
        f"the entry {first.name!r} cannot be made the same file again: it was deflated by {needed}, and here is "
        f"{pillow_png.engine() if needed.startswith('Pillow') else ENGINE}; unpack() reads its arrays"
    )


def _seal(content: bytes) -> bytes:
    """The checksum by which a file that is deflated anew is known to be the same."""
    return zlib.crc32(content).to_bytes(_SEAL, "little")


def _parsed(content: bytes) -> Iterator[tuple[Format, Any]]:
    for form in _FORMATS:
        if content.startswith(form.magic):
            parsed = _quietly(form.parse, content)
            if parsed is not None:
                yield form, parsed


def _quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result, or None where bytes that may be anything are not what they seem to be."""
    try:
        return function(*arguments)
    except Exception:
        return None


def _entries(file: File, kind: int, pieces: Sequence[Piece], content: bytes) -> list[Entry]:
    entries = [Entry(array, file.name, kind, extra) for array, extra in pieces]
    entries[0].mode, entries[0].size = file.mode, len(file.content)
    if kind in _SEALED:
        entries[0].extra = _seal(content) + entries[0].extra
    return entries


def _by_file(entries: list[Entry]) -> Iterator[list[Entry]]:
    """The entries of each file."""
    place = 0
    while place < len(entries):
        first = entries[place]
        count = enclosed.count_pieces(first.extra[_SEAL:]) if first.kind == NPZ else 1
        group = entries[place : place + max(count, 1)]
        if len(group) < count or any((entry.kind, entry.name) != (first.kind, first.name) for entry in group):
            raise CodecError(f"the entry {first.name!r} has not all of its arrays")
        yield group
        place += len(group)


def _same(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]]) -> bool:
    return len(first) == len(second) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(first, second)
    )


def _settle(parts: Sequence[enclosed.Enclosed]) -> list[Piece] | None:
    settled = enclosed.settle(parts)
    return None if settled is None else enclosed.to_pieces(settled)


def _settle_anew(parts: Sequence[enclosed.Enclosed]) -> tuple[list[Piece], list[str]]:
    return enclosed.to_pieces(enclosed.settle_anew(parts)), ["the deflated stream"]


def _arrays(parts: Sequence[enclosed.Enclosed]) -> list[NDArray[Any]]:
    return [part.array for part in parts]


def _write_array(pieces: list[Piece]) -> bytes:

    ((array, _),) = pieces
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _write_bytes(pieces: list[Piece]) -> bytes:
    ((array, _),) = pieces
    return array.tobytes()


_FORMATS = (
    Format(NPY, NPY_MAGIC, parse_npy, _settle, None, _arrays),
    Format(NPZ, NPZ_MAGIC, parse_npz, _settle, None, _arrays),
    Format(IDX, IDX_MAGIC, parse_idx, _settle, None, _arrays),
    Format(GZIPPED_IDX, GZIP_MAGIC, parse_gzipped_idx, _settle, _settle_anew, _arrays),
    Format(PNG, PNG_MAGIC, png.parse_png, png.settle_png, png.settle_png_anew, lambda picture: [picture.samples]),
)
_WRITERS: dict[int, Callable[[list[Piece]], bytes]] = {
    ARRAY: _write_array,
    NPY: enclosed.write_enclosed,
    NPZ: enclosed.write_enclosed,
    IDX: enclosed.write_enclosed,
    GZIPPED_IDX: enclosed.write_enclosed,
    PNG: png.write_png,
    FILE: _write_bytes,
}
