"""The chunks that a PNG file is made of."""

from __future__ import annotations

import struct
import zlib

from pushforward.codec.archive.numbers import Reader, Writer
from pushforward.errors import CodecError

MAGIC = b"\x89PNG\r\n\x1a\n"


def write_sizes(out: Writer, sizes: tuple[int, ...]) -> None:
    """The lengths of the pixels' chunks: most often there is one, or all are alike but a shorter last one."""
    if len(sizes) == 1:
        out.number(0)
    elif len(set(sizes[:-1])) == 1 and 0 < sizes[-1] <= sizes[0]:
        out.number(sizes[0])
        out.number(0)
    else:
        out.number(1)
        out.number(len(sizes))
        for size in sizes:
            out.number(size)


def read_sizes(reader: Reader, total: int) -> list[int]:
    """Undo :func:`write_sizes`, given the length of all chunks together."""
    size = reader.number()
    if not size:
        return [total]
    count = reader.number()
    if count:
        if count > len(reader.data) - reader.place:
            raise CodecError("the file is damaged: a picture has more parts than it says")
        return [reader.number() for _ in range(count)]
    return [size] * (total // size) + ([total % size] if total % size else [])


def read_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG file: names and data.

    Raises:
        ValueError: if one is truncated or damaged, or the first or last one is missing.
    """
    chunks, place = [], len(MAGIC)
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        end = place + 12 + length
        chunks.append((name, content[place + 8 : end - 4]))
        if content[place:end] != chunk_bytes(*chunks[-1]):
            raise ValueError("a chunk that is truncated or does not fit its checksum")
        place = end
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise ValueError("a picture without its first or last chunk")
    return chunks


def chunk_bytes(name: bytes, data: bytes) -> bytes:
    """A chunk with its length, name and checksum."""
    return struct.pack(">I", len(data)) + name + data + zlib.crc32(name + data).to_bytes(4, "big")
