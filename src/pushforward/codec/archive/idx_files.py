"""IDX files, plain and gzipped, taken apart: the array, and all other bytes as they are."""

from __future__ import annotations

import struct

from pushforward.codec.archive.deflate import open_stream
from pushforward.codec.archive.enclosed import Enclosed
from pushforward.data.idx import decode_idx

_NAME, _COMMENT, _EXTRA, _CHECKSUM = 8, 16, 4, 2
_TRAILER = 8


def parse_idx(content: bytes) -> list[Enclosed]:
    """The array of an IDX file.

    Raises:
        DataError: if it is damaged.
    """
    array = decode_idx(content)
    return [Enclosed(array, content[: len(content) - array.nbytes])]


def parse_gzipped_idx(content: bytes) -> list[Enclosed]:
    """The array of a gzipped IDX file of one member (Deutsch 1996, RFC 1952).

    Raises:
        ValueError: or another error, if it is damaged or something else.
    """
    start = _gzip_start(content)
    stream, trailer = content[start:-_TRAILER], content[-_TRAILER:]
    (length,) = struct.unpack("<I", trailer[4:])
    inner = open_stream(stream, length)
    array = decode_idx(inner)
    within = inner[: len(inner) - array.nbytes]
    return [Enclosed(array, content[:start], trailer, within, stream)]


def _gzip_start(content: bytes) -> int:
    """Where the deflated stream begins."""
    flags, place = content[3], 10
    if flags & _EXTRA:
        place += 2 + int(struct.unpack("<H", content[place : place + 2])[0])
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            place = content.index(b"\0", place) + 1
    if flags & _CHECKSUM:
        place += 2
    if content[2] != 8 or place + _TRAILER > len(content):
        raise ValueError("no gzip file")
    return place
