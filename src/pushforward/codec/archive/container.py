"""The .pfz container: what stands where in the file, and the checks that keep a damaged one from being read.

magic, version                          5 bytes
header                                  0 and the header as it is, or its length and the header coded by xz or zstd:
                                        see :mod:`pushforward.codec.archive.header`
blocks                                  independent of each other
digest of all that precedes             8 bytes
"""

from __future__ import annotations

import hashlib

from pushforward.codec.archive import general
from pushforward.codec.archive.header import Header, read_header, write_header
from pushforward.codec.archive.numbers import Reader, Writer
from pushforward.errors import CodecError

MAGIC = b"\x8dPFZ"
VERSION = 3
DIGEST_BYTES = 8
_PREFIX = len(MAGIC) + 1
MEMORY_LIMIT = 2**34
ALLOWANCE = 2**28
"""Bytes that decoding may take beside those that a memory limit allows for the arrays."""
_HEADER_COST = 200
"""About how many bytes of memory a byte of the header takes once it is read."""


def write_container(header: Header, blocks: list[bytes]) -> bytes:
    """Put the file together."""
    body = write_header(header)
    coded = general.encode(body)
    out = Writer()
    out.data += MAGIC + bytes([VERSION])
    is_coded = len(coded) < len(body)
    out.number(len(body) if is_coded else 0)
    out.string(coded if is_coded else body)
    for block in blocks:
        out.data += block
    return bytes(out.data + _digest(bytes(out.data)))


def read_container(data: bytes, memory_limit: int = MEMORY_LIMIT) -> tuple[Header, list[memoryview]]:
    """Check the file as a whole and take it apart; no array is made yet.

    Raises:
        CodecError: if it is not a container, of another version, damaged, truncated, or its header alone needs more
            memory than allowed.
    """
    data = bytes(data)
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise CodecError("expected a file that pushforward compressed (it starts with 8d 50 46 5a), got something else")
    if len(data) > len(MAGIC) and data[len(MAGIC)] != VERSION:
        raise CodecError(_other_version(data[len(MAGIC)]))
    if len(data) < _PREFIX + DIGEST_BYTES + 1:
        raise CodecError(f"the file is truncated: {len(data)} bytes are too few for a header")
    content = data[:-DIGEST_BYTES]
    if _digest(content) != data[-DIGEST_BYTES:]:
        raise CodecError("the file is damaged or truncated: its digest does not fit its content")
    reader = Reader(content, _PREFIX)
    header = read_header(_read_body(reader, (memory_limit + ALLOWANCE) // _HEADER_COST))
    if sum(header.lengths) != len(content) - reader.place:
        raise CodecError("the file is damaged: its blocks are not as long as its header says")
    view, place, blocks = memoryview(content), reader.place, []
    for size in header.lengths:
        blocks.append(view[place : place + size])
        place += size
    return header, blocks


def _read_body(reader: Reader, limit: int) -> bytes:
    length, body = reader.number(limit), reader.string()
    if len(body) > limit:
        raise CodecError(f"the header of the file takes more memory than the limit allows: {len(body)} bytes")
    return general.decode(body, length) if length else body


def _other_version(version: int) -> str:
    writer = "an earlier" if version < VERSION else "a later"
    return (
        f"expected format version {VERSION}, got {version}, which {writer} version of pushforward wrote: decompress "
        "the file with that one"
    )


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
