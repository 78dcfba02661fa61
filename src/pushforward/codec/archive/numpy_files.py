"""NumPy's files, .npy and .npz, taken apart: the arrays, and all other bytes as they are."""

from __future__ import annotations

import ast
import io
import struct
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.codec.archive.deflate import open_stream
from pushforward.codec.archive.enclosed import Enclosed, view_array

NPY_MAGIC, NPZ_MAGIC = b"\x93NUMPY", b"PK\x03\x04"
_LONGEST_HEADER = 10_000
_LOCAL_HEADER = 30


def parse_npy(content: bytes) -> list[Enclosed]:
    """The array of an .npy file.

    Raises:
        ValueError: or another error, if it is damaged, or holds objects.
    """
    start, array, fortran = _split_npy(content)
    return [Enclosed(array, content[:start], fortran=fortran)]


def parse_npz(content: bytes) -> list[Enclosed]:
    """The arrays of an .npz file; members that are no arrays stay among the other bytes.

    Raises:
        ValueError: or another error, if it is no zip file that can be taken apart, or holds no array.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    parts, place = [], 0
    for member in members:
        start, stop = _payload(content, member)
        if start < place:
            raise ValueError("members that overlap")
        part = _parse_member(content[start:stop], member, content[place:start])
        if part is not None:
            parts.append(part)
            place = stop
    if not parts:
        raise ValueError("no arrays in the archive")
    last = parts[-1]
    parts[-1] = Enclosed(last.array, last.before, content[place:], last.within, last.stream, last.fortran)
    return parts


def _split_npy(content: bytes) -> tuple[int, NDArray[Any], bool]:
    """Where the array begins, the array, and whether its order is Fortran's."""
    if not content.startswith(NPY_MAGIC):
        raise ValueError("no .npy file")
    start = 10 if content[6] == 1 else 12
    (length,) = struct.unpack("<H" if content[6] == 1 else "<I", content[8:start])
    if length > _LONGEST_HEADER:
        raise ValueError("a header that is too long")
    stated = ast.literal_eval(content[start : start + length].decode("utf-8" if content[6] == 3 else "latin-1").strip())
    dtype, shape = np.dtype(stated["descr"]), tuple(map(int, stated["shape"]))
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None or not dtype.itemsize:
        raise ValueError("an array that is no plain one")
    fortran = bool(stated["fortran_order"])
    return start + length, view_array(content[start + length :], dtype, shape, fortran), fortran


def _payload(content: bytes, member: zipfile.ZipInfo) -> tuple[int, int]:
    """Where a member's bytes stand in the file."""
    header = content[member.header_offset : member.header_offset + _LOCAL_HEADER]
    name, extra = struct.unpack("<HH", header[26:30])
    start = member.header_offset + _LOCAL_HEADER + name + extra
    stop = start + member.compress_size
    if not header.startswith(NPZ_MAGIC) or member.header_offset < 0 or stop > len(content):
        raise ValueError("a member out of its place")
    return start, stop


def _parse_member(payload: bytes, member: zipfile.ZipInfo, before: bytes) -> Enclosed | None:
    """A member's array, or None where it has none or is packed in another way."""
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return None
    deflated = member.compress_type == zipfile.ZIP_DEFLATED
    try:
        inner = open_stream(payload, member.file_size) if deflated else payload
        start, array, fortran = _split_npy(inner)
    # A member of any other content is bytes.
    except Exception:
        return None
    if deflated:
        return Enclosed(array, before, within=inner[:start], stream=payload, fortran=fortran)
    return Enclosed(array, before + inner[:start], fortran=fortran)
