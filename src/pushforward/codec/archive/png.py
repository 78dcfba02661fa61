"""PNG files as arrays of pixels and back, with all that they say besides."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterable

import numpy as np

from pushforward.codec.archive.entry import Piece
from pushforward.extras import requires

MAGIC = b"\x89PNG\r\n\x1a\n"
# What PIL writes anew from the pixels; all other chunks are kept as they are.
_PIXEL_CHUNKS = (b"IHDR", b"IDAT", b"IEND")


def read_png(content: bytes) -> list[Piece]:
    """The pixels, and all chunks but those of the pixels; raises ValueError where the library would lose bits."""
    with requires("codec", purpose="a PNG file"):
        from PIL import Image

    chunks = _chunks(content)
    depth, colour = chunks[0][1][8:10]
    # PIL halves the depth of colours of 16 bits, and shows the first picture alone of a film.
    if (depth == 16 and colour != 0) or any(name == b"acTL" for name, _ in chunks):
        raise ValueError("a picture that would lose bits")
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        pixels, mode = np.asarray(image), image.mode
    before = list(_kept(chunks, before_pixels=True))
    after = list(_kept(chunks, before_pixels=False))
    described = json.dumps([mode, len(before)]).encode()
    return [(pixels, described + b"\0" + b"".join(before + after))]


def write_png(pieces: list[Piece]) -> bytes:
    """Undo :func:`read_png`."""
    with requires("codec", purpose="a PNG file"):
        from PIL import Image

    ((pixels, extra),) = pieces
    described, _, rest = extra.partition(b"\0")
    mode, count = json.loads(described)
    kept = _split_chunks(rest)
    image = Image.fromarray(pixels.astype(pixels.dtype.newbyteorder("="))) if mode not in ("P", "1") else None
    if mode == "P":
        image = Image.frombytes("P", pixels.shape[::-1], np.ascontiguousarray(pixels).tobytes())
        image.putpalette(bytes(range(256)) * 3)
    elif mode == "1":
        image = Image.fromarray(pixels.astype(np.uint8) * 255).convert("1", dither=Image.Dither.NONE)
    stream = io.BytesIO()
    assert image is not None
    image.save(stream, "PNG", **({"bits": 8} if mode == "P" else {}))
    written = _chunks(stream.getvalue())
    chunks = [chunk for name, chunk in _with_bytes(written) if name == b"IHDR"]
    chunks += kept[:count]
    chunks += [chunk for name, chunk in _with_bytes(written) if name == b"IDAT"]
    chunks += kept[count:]
    chunks += [chunk for name, chunk in _with_bytes(written) if name == b"IEND"]
    return MAGIC + b"".join(chunks)


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG: names and data."""
    chunks, place = [], len(MAGIC)
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        data = content[place + 8 : place + 8 + length]
        if len(content) < place + 12 + length:
            raise ValueError("a truncated picture")
        chunks.append((name, data))
        place += 12 + length
    if not chunks or chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND":
        raise ValueError("a picture without its first or last chunk")
    return chunks


def _with_bytes(chunks: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The chunks' names and their bytes in a file."""
    return [
        (name, struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
        for name, data in chunks
    ]


def _kept(chunks: list[tuple[bytes, bytes]], before_pixels: bool) -> Iterable[bytes]:
    """The bytes of all chunks but those of the pixels, before or after these."""
    first = next(index for index, (name, _) in enumerate(chunks) if name == b"IDAT")
    for index, (name, chunk) in enumerate(_with_bytes(chunks)):
        if name not in _PIXEL_CHUNKS and (index < first) == before_pixels:
            yield chunk


def _split_chunks(content: bytes) -> list[bytes]:
    chunks, place = [], 0
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunks.append(content[place : place + 12 + length])
        place += 12 + length
    return chunks
