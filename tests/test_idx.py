"""IDX files: damaged ones are an error that says so, and the bytes' order changes nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pushforward.data.dataset import infer_levels
from pushforward.data.idx import decode_idx, encode_idx, read_idx
from pushforward.errors import DataError

DAMAGED = {
    "two-bytes": b"\0\0",
    "three-bytes": b"\0\0\x08",
    "no-sizes": b"\0\0\x08\x02",
    "unknown-type": b"\0\0\x07\x01\0\0\0\0",
    "empty-and-huge": b"\0\0\x08\x03" + b"\0\0\0\0" + b"\xff" * 8,
    "many-axes": b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"a",
    "too-short": encode_idx(np.zeros((2, 3), np.uint8))[:-1],
    "too-long": encode_idx(np.zeros((2, 3), np.uint8)) + b"x",
    "half-a-gzip": gzip.compress(encode_idx(np.zeros((20, 30), np.uint8)))[:-9],
    "no-gzip": b"\x1f\x8b",
    "broken-gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\xff" * 30,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DAMAGED[name])
    with pytest.raises(DataError, match="x: "):
        read_idx(tmp_path / "x")


@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", "<i4", "f4", ">f8"])
def test_arrays_come_back_in_the_file_s_order(dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    assert np.array_equal(decode_idx(encode_idx(array)), array)


@pytest.mark.parametrize("order", "<>=")
def test_the_levels_of_unsigned_numbers_are_those_of_their_type(order: str) -> None:
    assert infer_levels("x", np.arange(5, dtype=f"{order}u2"), None) == 65536
    assert infer_levels("x", np.arange(5, dtype=f"{order}u1"), None) == 256
    assert infer_levels("x", np.arange(5, dtype=f"{order}i2"), None) == 5
