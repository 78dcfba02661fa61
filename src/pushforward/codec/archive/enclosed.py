"""Arrays enclosed in the bytes of a file, each bare or within a deflated stream: NumPy's, zip's, IDX and gzip files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.codec.archive.deflate import ENGINE, Settings, find_settings
from pushforward.codec.archive.entry import Piece
from pushforward.codec.archive.numbers import Reader, Writer
from pushforward.errors import CodecError

_GZIP_LEVELS = (9, 6, 1, 2, 3, 4, 5, 7, 8, 0)


@dataclass(frozen=True)
class Enclosed:
    """An array and the bytes about it.

    ``before`` and ``after`` stand in the file; where the array is in a deflated ``stream``, ``within`` stands before it
    there, and ``settings`` are zlib's. Arrays in Fortran's order have their first axis vary fastest.
    """

    array: NDArray[Any]
    before: bytes
    after: bytes = b""
    within: bytes = b""
    stream: bytes | None = None
    fortran: bool = False
    settings: Settings | None = None

    @property
    def content(self) -> bytes:
        """The array with the bytes before it in its stream."""
        return self.within + self.array.tobytes("F" if self.fortran else "C")

    def to_bytes(self) -> bytes:
        """The part of the file."""
        inner = self.content if self.settings is None else self.settings.deflate(self.content)
        return self.before + inner + self.after


def settle(parts: Sequence[Enclosed]) -> list[Enclosed] | None:
    """The same with the settings that give their streams again; None where no settings do."""
    settled = []
    for part in parts:
        if part.stream is None:
            settled.append(part)
            continue
        settings = find_settings(part.stream, part.content, _GZIP_LEVELS)
        if settings is None:
            return None
        settled.append(replace(part, settings=settings))
    return settled


def settle_anew(parts: Sequence[Enclosed]) -> list[Enclosed]:
    """The same with streams to be deflated with other settings."""
    return [part if part.stream is None else replace(part, settings=Settings(9)) for part in parts]


def to_pieces(parts: Sequence[Enclosed]) -> list[Piece]:
    """The arrays, and all else as bytes; the first piece says how many there are."""
    pieces = []
    for index, part in enumerate(parts):
        out = Writer()
        if not index:
            out.number(len(parts))
        out.number(int(part.fortran))
        out.number(0 if part.settings is None else part.settings.number + 1)
        out.string(b"" if part.settings is None else ENGINE.encode())
        for text in (part.before, part.within, part.after):
            out.string(text)
        pieces.append((part.array, bytes(out.data)))
    return pieces


def count_pieces(extra: bytes) -> int:
    """How many pieces there are, by the first one's bytes."""
    return Reader(extra).number()


def write_enclosed(pieces: list[Piece]) -> bytes:
    """The file of the pieces.

    Raises:
        CodecError: if they are damaged.
    """
    parts = []
    for index, (array, extra) in enumerate(pieces):
        reader = Reader(extra)
        if not index and reader.number() != len(pieces):
            raise CodecError("the file is damaged: it has not all arrays of an entry")
        fortran, number = bool(reader.number(1)), reader.number()
        settings = Settings.from_number(number - 1) if number else None
        reader.string()
        before, within, after = (reader.string() for _ in range(3))
        reader.end()
        parts.append(Enclosed(array, before, after, within, None, fortran, settings))
    return b"".join(part.to_bytes() for part in parts)


def engine_of(extra: bytes) -> str:
    """What deflated the first piece's stream, which these bytes are of; empty where it has none."""
    reader = Reader(extra)
    for limit in (2**62, 1, 2**62):
        reader.number(limit)
    return reader.string().decode("utf-8", "replace")


def view_array(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool = False) -> NDArray[Any]:
    """The array whose bytes these are, all of them.

    Raises:
        ValueError: if they are of another number.
    """
    values = np.frombuffer(content, dtype)
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
