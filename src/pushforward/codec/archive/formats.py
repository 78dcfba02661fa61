"""Files as arrays and back: NumPy, IDX and PNG files by their content, any other file by its bytes.

A file is taken for one of a format only if it can be written again from what was read, pixel for pixel; a PNG that the
library would flatten, a pickled array, a broken picture all go in as bytes, and come out as the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.codec.archive.compression import Entry
from pushforward.errors import CodecError, DataError
from pushforward.extras import requires

ARRAY, NPY, NPZ, IDX, PNG, FILE = range(6)
KINDS = ("array", "npy", "npz", "idx", "png", "file")
_GZIP = b"\x1f\x8b"
_PNG = b"\x89PNG\r\n\x1a\n"
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# What PIL writes anew from the pixels; all other chunks are kept as they are.
_PIXEL_CHUNKS = (b"IHDR", b"IDAT", b"IEND")


def read_entries(content: bytes, name: str) -> list[Entry]:
    """The arrays of one file, named as it is; a file of several arrays gives several entries of one name."""
    for kind, magic, read in (
        (NPY, b"\x93NUMPY", _read_npy),
        (NPZ, b"PK", _read_npz),
        (IDX, b"\0\0", _read_idx),
        (IDX, _GZIP, _read_idx_gz),
        (PNG, _PNG, _read_png),
    ):
        if not content.startswith(magic):
            continue
        try:
            entries = [Entry(array, name, kind, extra) for array, extra in read(content)]
            if entries and _reads_the_same(entries, content, read):
                return entries
        except (ValueError, OSError, EOFError, KeyError, SyntaxError, struct.error, zlib.error, zipfile.BadZipFile):
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
            files.append((name, _content(kind, list(group))))
        except (ValueError, KeyError, TypeError, OSError, struct.error, IndexError) as error:
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


def _reads_the_same(entries: list[Entry], content: bytes, read: Any) -> bool:
    """Whether the file made of the entries gives the same arrays and extras."""
    again = _content(entries[0].kind, entries)
    if again == content:
        return True
    back = list(read(again))
    return len(back) == len(entries) and all(
        extra == entry.extra
        and array.dtype == entry.array.dtype
        and array.shape == entry.array.shape
        and array.tobytes() == entry.array.tobytes()
        for (array, extra), entry in zip(back, entries)
    )


def _content(kind: int, entries: list[Entry]) -> bytes:
    first = entries[0]
    if kind == NPZ:
        return _write_npz(entries)
    if len(entries) != 1:
        raise ValueError("one file expects one array")
    if kind in (ARRAY, NPY):
        return _write_npy(first.array, first.extra)
    if kind == IDX:
        content = _write_idx(first.array)
        # Without a time stamp, so that the same array gives the same file.
        return gzip.compress(content, mtime=0) if first.extra else content
    if kind == PNG:
        return _write_png(first.array, first.extra)
    if kind == FILE:
        return first.array.tobytes()
    raise ValueError(f"unknown kind {kind}")


def _read_npy(content: bytes) -> list[tuple[NDArray[Any], bytes]]:
    stream = io.BytesIO(content)
    array = np.load(stream, allow_pickle=False)
    if stream.read(1):
        raise ValueError("bytes behind the array")
    return [(array, b"F" if array.flags.f_contiguous and not array.flags.c_contiguous else b"")]


def _write_npy(array: NDArray[Any], extra: bytes) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(array) if extra == b"F" else array, allow_pickle=False)
    return stream.getvalue()


def _read_npz(content: bytes) -> list[tuple[NDArray[Any], bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        deflated = any(item.compress_type == zipfile.ZIP_DEFLATED for item in archive.infolist())
        if any(not item.filename.endswith(".npy") for item in archive.infolist()):
            raise ValueError("more than arrays in the archive")
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    return [(loaded[key], (b"D" if deflated else b"S") + key.encode()) for key in loaded.files]


def _write_npz(entries: list[Entry]) -> bytes:
    stream = io.BytesIO()
    arrays = {entry.extra[1:].decode(): entry.array for entry in entries}
    compression = zipfile.ZIP_DEFLATED if entries[0].extra.startswith(b"D") else zipfile.ZIP_STORED
    # Not savez(): it takes some of the possible names for its own arguments.
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return stream.getvalue()


def _read_idx(content: bytes) -> list[tuple[NDArray[Any], bytes]]:
    dtype = np.dtype(_IDX_TYPES[content[2]])
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    return [(np.frombuffer(content, dtype, offset=start).reshape(shape), b"")]


def _read_idx_gz(content: bytes) -> list[tuple[NDArray[Any], bytes]]:
    ((array, _),) = _read_idx(gzip.decompress(content))
    return [(array, b"gz")]


def _write_idx(array: NDArray[Any]) -> bytes:
    codes = {np.dtype(name).newbyteorder("="): code for code, name in _IDX_TYPES.items()}
    code = codes[array.dtype.newbyteorder("=")]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(_IDX_TYPES[code]).tobytes()


def _read_png(content: bytes) -> list[tuple[NDArray[Any], bytes]]:
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


def _write_png(pixels: NDArray[Any], extra: bytes) -> bytes:
    with requires("codec", purpose="a PNG file"):
        from PIL import Image

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
    return _PNG + b"".join(chunks)


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG: names and data."""
    chunks, place = [], len(_PNG)
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
