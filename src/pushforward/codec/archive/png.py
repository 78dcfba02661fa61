"""PNG files taken apart and put together again bit for bit: pixels, filters, chunks, and how they were deflated.

Source: Boutell et al. (2003), Portable Network Graphics (PNG) Specification, second edition.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.codec.archive import pillow_png
from pushforward.codec.archive.deflate import ENGINE, Settings, find_settings, open_stream
from pushforward.codec.archive.entry import Piece
from pushforward.codec.archive.numbers import Reader, Writer
from pushforward.codec.archive.png_chunks import MAGIC, chunk_bytes, read_chunks, read_sizes, write_sizes
from pushforward.codec.archive.scanlines import (
    FILTERS,
    RULES,
    filter_all,
    find_rule,
    to_rows,
    to_samples,
    unfilter,
    usual_filters,
)
from pushforward.errors import CodecError

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_LARGEST_PICTURE = 2**27
_HEADER = slice(len(MAGIC) + 8, len(MAGIC) + 21)
# What says how the pixels look, and the further pictures of a film; a picture alone is coded with these.
_SHOWN = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"pHYs"),
    *(b"acTL", b"fcTL", b"fdAT"),
}
# By two bits of the header of zlib's streams; some strategies say 0 at every level.
_LEVELS = {0: (1, 0, 6, 9, 2, 3, 4, 5, 7, 8), 1: (5, 4, 3, 2), 2: (6,), 3: (9, 8, 7)}


@dataclass(frozen=True)
class Layout:
    """Size and samples of a picture, from its first chunk."""

    width: int
    height: int
    depth: int
    colour: int

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return _CHANNELS[self.colour]

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return (self.width * self.channels * self.depth + 7) // 8

    @property
    def unit(self) -> int:
        """Bytes of a pixel, at least 1."""
        return max(1, self.channels * self.depth // 8)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of samples."""
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)


@dataclass(frozen=True)
class Picture:
    """A PNG file taken apart.

    ``before`` and ``after`` are the chunks before and after the pixels', ``sizes`` the pixels' chunks' lengths,
    ``filters`` the rows' filters less those that ``rule`` chooses, ``zlib_header`` two bytes, ``stream`` the bare
    deflated one.
    """

    samples: NDArray[Any]
    rule: int
    filters: NDArray[np.uint8]
    before: bytes
    after: bytes
    sizes: tuple[int, ...]
    zlib_header: bytes
    stream: bytes

    @property
    def layout(self) -> Layout:
        """Size and samples."""
        return read_layout(self.before)


def parse_png(content: bytes) -> Picture:
    """Take a file apart.

    Raises:
        ValueError: if it is damaged, interlaced, or too large.
    """
    chunks = read_chunks(content)
    places = [index for index, (name, _) in enumerate(chunks) if name == b"IDAT"]
    if not places or places[-1] - places[0] != len(places) - 1:
        raise ValueError("pixels that are not in one place")
    parts = [chunks[index][1] for index in places]
    before = MAGIC + b"".join(chunk_bytes(*chunk) for chunk in chunks[: places[0]])
    after = b"".join(chunk_bytes(*chunk) for chunk in chunks[places[-1] + 1 :])
    layout, packed = read_layout(before), b"".join(parts)
    length = layout.height * (1 + layout.row)
    if length > _LARGEST_PICTURE or len(packed) < 6 or packed[0] & 15 != 8 or packed[1] & 32:
        raise ValueError("a picture that is too large, or deflated in another way")
    lines = open_stream(packed[2:-4], length)
    if zlib.adler32(lines).to_bytes(4, "big") != packed[-4:]:
        raise ValueError("pixels that do not fit their checksum")
    rows = np.frombuffer(lines, np.uint8).reshape(layout.height, 1 + layout.row)
    if int(rows[:, 0].max()) >= FILTERS:
        raise ValueError("an unknown filter")
    plain = unfilter(np.ascontiguousarray(rows[:, 1:]), rows[:, 0], layout.unit)
    samples = to_samples(plain, layout.width, layout.depth, layout.channels)
    filtered = filter_all(plain, layout.unit)
    rule = find_rule(filtered, rows[:, 0])
    filters = (rows[:, 0] + FILTERS - usual_filters(filtered, rule)) % FILTERS
    return Picture(samples, rule, filters, before, after, tuple(map(len, parts)), packed[:2], packed[2:-4])


def settle_png(picture: Picture) -> list[Piece] | None:
    """The picture as a piece that gives the very file again; None where none does."""
    lines = _lines(picture.samples, picture.layout, picture.rule, picture.filters)
    levels = _LEVELS[picture.zlib_header[1] >> 6]
    window = max(9, (picture.zlib_header[0] >> 4) + 8)
    settings = find_settings(picture.stream, lines, levels, window)
    if settings is not None:
        return [_to_piece(picture, settings.number + 1, ENGINE)]
    layout = picture.layout
    choice = pillow_png.find_choice(picture.stream, picture.samples, layout.depth, layout.colour, levels)
    return None if choice is None else [_to_piece(picture, choice, pillow_png.engine())]


def settle_png_anew(picture: Picture) -> tuple[list[Piece], list[str]]:
    """The picture alone as a piece, and what is not kept."""
    chunks = read_chunks(picture.before + chunk_bytes(b"IDAT", b"") + picture.after)
    lost = sorted({name.decode("latin-1") for name, _ in chunks if name not in _SHOWN})
    kept = [chunk_bytes(*chunk) for chunk in chunks if chunk[0] in _SHOWN]
    cut = next(index for index, chunk in enumerate(kept) if chunk[4:8] == b"IDAT")
    settings = Settings(9, zlib.Z_FILTERED, 9)
    usual = np.zeros_like(picture.filters)
    size = len(settings.deflate(_lines(picture.samples, picture.layout, picture.rule, usual))) + 6
    alone = replace(
        picture,
        before=MAGIC + b"".join(kept[:cut]),
        after=b"".join(kept[cut + 1 :]),
        filters=usual,
        sizes=(size,),
        zlib_header=b"\x78\xda",
    )
    losses = ["the rows' filters", "the deflated stream", *(f"{name} chunks" for name in lost)]
    return [_to_piece(alone, settings.number + 1, ENGINE)], losses


def write_png(pieces: list[Piece]) -> bytes:
    """The file of a piece.

    Raises:
        CodecError: if it is damaged.
    """
    ((samples, extra),) = pieces
    reader = Reader(extra)
    number, _ = reader.number(), reader.string()
    before, after, zlib_header, filters = (reader.string() for _ in range(4))
    layout = read_layout(before)
    if samples.shape != layout.shape or samples.dtype.itemsize != max(1, layout.depth // 8):
        raise CodecError("the file is damaged: a picture is not of the size that its header says")
    rule = reader.number(len(RULES) - 1)
    lines = _lines(samples, layout, rule, np.frombuffer(filters or bytes(layout.height), np.uint8))
    if pillow_png.is_choice(number):
        stream = pillow_png.deflate(samples, layout.depth, layout.colour, number)
    else:
        stream = Settings.from_number(number - 1).deflate(lines)
    packed = zlib_header + stream + zlib.adler32(lines).to_bytes(4, "big")
    ends = list(accumulate(read_sizes(reader, len(packed)), initial=0))
    reader.end()
    if ends[-1] != len(packed):
        raise CodecError("a picture's pixels deflate to another length")
    parts = (chunk_bytes(b"IDAT", packed[start:stop]) for start, stop in pairwise(ends))
    return before + b"".join(parts) + after


def engine_of(extra: bytes) -> str:
    """What deflated a piece's pixels."""
    reader = Reader(extra)
    reader.number()
    return reader.string().decode("utf-8", "replace")


def read_layout(before: bytes) -> Layout:
    """What the first chunk says.

    Raises:
        ValueError: if that is nothing that a picture can be, or the picture is interlaced.
    """
    width, height, depth, colour, packing, filters, interlace = struct.unpack(">IIBBBBB", before[_HEADER])
    if depth not in _DEPTHS.get(colour, ()) or packing or filters or interlace or not width or not height:
        raise ValueError("a picture of another kind")
    return Layout(width, height, depth, colour)


def _lines(samples: NDArray[Any], layout: Layout, rule: int, filters: NDArray[np.uint8]) -> bytes:
    """The filtered rows with the filters' numbers before them: what is deflated."""
    rows = to_rows(samples, layout.depth)
    if rows.shape != (layout.height, layout.row) or filters.shape != (layout.height,):
        raise CodecError("the file is damaged: a picture's rows are not as long as its header says")
    filtered = filter_all(rows, layout.unit)
    chosen = (usual_filters(filtered, rule) + filters) % FILTERS
    return np.concatenate([chosen[:, None], filtered[chosen, np.arange(layout.height)]], 1).tobytes()


def _to_piece(picture: Picture, number: int, engine: str) -> Piece:
    out = Writer()
    out.number(number)
    out.string(engine.encode())
    out.string(picture.before)
    out.string(picture.after)
    out.string(picture.zlib_header)
    out.string(picture.filters.tobytes() if picture.filters.any() else b"")
    out.number(picture.rule)
    write_sizes(out, picture.sizes)
    return picture.samples, bytes(out.data)
