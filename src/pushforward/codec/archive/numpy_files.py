"""NumPy's files as arrays and back."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from pushforward.codec.archive.entry import Piece

NPY_MAGIC, NPZ_MAGIC = b"\x93NUMPY", b"PK"


def read_npy(content: bytes) -> list[Piece]:
    """The array of an .npy file, and whether its order is Fortran's."""
    stream = io.BytesIO(content)
    array = np.load(stream, allow_pickle=False)
    if stream.read(1):
        raise ValueError("bytes behind the array")
    return [(array, b"F" if array.flags.f_contiguous and not array.flags.c_contiguous else b"")]


def write_npy(pieces: list[Piece]) -> bytes:
    """Undo :func:`read_npy`."""
    ((array, extra),) = pieces
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(array) if extra == b"F" else array, allow_pickle=False)
    return stream.getvalue()


def read_npz(content: bytes) -> list[Piece]:
    """The arrays of an .npz file, and for each whether it is deflated (D) or stored (S), and its name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        deflated = any(item.compress_type == zipfile.ZIP_DEFLATED for item in archive.infolist())
        if any(not item.filename.endswith(".npy") for item in archive.infolist()):
            raise ValueError("more than arrays in the archive")
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    return [(loaded[key], (b"D" if deflated else b"S") + key.encode()) for key in loaded.files]


def write_npz(pieces: list[Piece]) -> bytes:
    """Undo :func:`read_npz`."""
    stream = io.BytesIO()
    arrays = {extra[1:].decode(): array for array, extra in pieces}
    compression = zipfile.ZIP_DEFLATED if pieces[0][1].startswith(b"D") else zipfile.ZIP_STORED
    # Not savez(): it takes some of the possible names for its own arguments.
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return stream.getvalue()
