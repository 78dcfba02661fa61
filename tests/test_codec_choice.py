"""No file grows: what the model does not make shorter is coded as xz or zstd would, and `info` says so."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
import warnings

import numpy as np
import pytest
import torch
import zstandard
from codec_helpers import colour, digits_of, grey, png, run, small, smooth_images
from PIL import Image

import pushforward as pf
from pushforward.codec import (
    File,
    MisfitWarning,
    compress,
    decompress,
    export,
    pack_files,
    save_portable,
    unpack,
    unpack_files,
)
from pushforward.codec.archive import general
from pushforward.codec.archive.description import describe
from pushforward.errors import CodecError

random = np.random.default_rng(0)
WORDS = [bytes(random.integers(97, 123, random.integers(2, 9)).astype(np.uint8)) for _ in range(500)]
CONTENTS = {
    "nothing": b"",
    "one-byte": b"a",
    "noise": random.bytes(30_000),
    "text": b" ".join(WORDS[index] for index in random.zipf(1.3, 20_000) % 500),
    "zeros": bytes(100_000),
    "far-apart": 2 * random.bytes(50_000),
    "numbers": np.cumsum(random.integers(-9, 9, 20_000)).astype("<i4").tobytes(),
}


def xz(content: bytes) -> int:
    return len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def method_of(data: bytes) -> str:
    return describe(data)["entries"][0]["method"]


@pytest.mark.parametrize("name", CONTENTS)
def test_no_file_is_longer_than_by_xz(name: str) -> None:
    content = CONTENTS[name]
    data = pack_files(small(), [File(name, content)])
    assert unpack_files(small(), data) == [File(name, content)]
    assert len(data) <= 1.01 * xz(content) + 4
    assert len(data) <= len(content) + 50


TINY = [
    *(bytes(length) for length in (0, 1, 2, 3, 4, 31, 64, 100, 1000)),
    *(random.bytes(length) for length in (1, 2, 7, 16, 64, 65, 127, 128, 129, 1000)),
    b"a line of text\n",
    b"abc" * 5,
    b"abc" * 40,
    b" ".join(WORDS[:8]),
    png(Image.fromarray(digits_of(1)[0, 0])),
    png(Image.fromarray(smooth_images(1)[0])),
]


@pytest.mark.parametrize("content", TINY, ids=lambda content: f"{len(content)}-{content[:4].hex()}")
@pytest.mark.parametrize("name", ["", "a.bin", "a name of 24 characters."])
def test_no_tiny_file_is_longer_than_by_xz(content: bytes, name: str) -> None:
    data = pack_files(small(), [File(name, content, 0o644 if name else None)])
    assert unpack_files(small(), data)[0].content == content
    # xz keeps no name: one of more than a few letters counts.
    assert len(data) <= xz(content) + max(len(name) - 6, 0)


@pytest.mark.parametrize("shape", [(0,), (1,), (8, 8), (0, 8, 8), (2, 8, 8), (30, 8, 8)])
def test_no_tiny_array_is_longer_than_by_xz(shape: tuple[int, ...]) -> None:
    for array in (np.zeros(shape, np.uint8), random.integers(0, 256, shape).astype(np.uint8), np.zeros(shape)):
        assert len(compress(small(), array)) <= max(xz(array.tobytes()), 40)


def test_what_no_model_coded_opens_with_any() -> None:
    noise = random.integers(0, 256, (300, 8, 8)).astype(np.uint8)
    for array in (np.zeros((900, 8, 8), np.uint8), noise, np.arange(5.0)):
        data = compress(small(), array)
        assert describe(data)["model"] is None
        for model in (small(1), colour()):
            assert np.array_equal(decompress(model, data), array)
    digits = compress(small(), digits_of(300))
    assert describe(digits)["model"] == small().fingerprint.hex()
    with pytest.raises(CodecError, match="another model"):
        decompress(small(1), digits)


ARRAYS = {
    "noise": random.integers(0, 17, (300, 8, 8)).astype(np.uint8),
    "constant": np.full((900, 8, 8), 7, np.uint8),
    "repeated": np.tile(random.integers(0, 17, (30, 8, 8)), (20, 1, 1)).astype(np.uint8),
    "larger-pictures": (np.add.outer(np.arange(200), np.arange(300)) // 40 % 17).astype(np.uint8),
    "floats": np.round(np.cumsum(random.normal(size=(400, 8)), 0), 2),
    "sixteen-bit": np.cumsum(random.integers(-20, 20, (100, 80)), 1).astype(np.uint16),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("ignore::pushforward.codec.MisfitWarning")
def test_no_array_is_longer_than_by_xz(name: str) -> None:
    array = ARRAYS[name]
    data = compress(small(), array)
    assert np.array_equal(decompress(small(), data), array)
    assert len(data) <= 1.01 * xz(array.tobytes())


def test_what_the_model_knows_it_codes() -> None:
    digits = digits_of(300)
    assert method_of(compress(small(), digits)) == "model"
    assert len(compress(small(), digits)) < xz(digits.tobytes())


def test_a_deflated_file_of_what_the_model_knows_is_coded_by_it() -> None:
    content = png(Image.fromarray(digits_of(60).reshape(480, 8)), optimize=True)
    data = pack_files(small(), [File("x.png", content)])
    assert method_of(data) == "model" and len(data) < 0.97 * len(content)
    assert unpack_files(small(), data) == [File("x.png", content)]


def test_many_small_files_together_are_shorter_than_by_xz() -> None:
    noise = random.integers(0, 3, (400, 16, 16))
    files = [
        File(f"faces/{index:03d}.png", png(Image.fromarray((smooth_images(1, 16)[0] + one).astype(np.uint8))), 0o644)
        for index, one in enumerate(noise)
    ]
    data = pack_files(grey(), files)
    assert unpack_files(grey(), data) == files
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.name)
            entry.size = len(file.content)
            archive.addfile(entry, io.BytesIO(file.content))
    assert len(data) < sum(len(file.content) for file in files)
    assert len(data) <= 1.01 * xz(stream.getvalue())


def test_info_tells_of_each_file_its_method_and_both_sizes(tmp_path) -> None:
    save_portable(small(), tmp_path / "codec.safetensors")
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "a.txt").write_bytes(CONTENTS["text"])
    np.save(tmp_path / "both" / "b.npy", digits_of(300))
    run("compress", tmp_path / "both", "-m", tmp_path / "codec.safetensors", "-o", tmp_path / "x.pfz")
    facts = json.loads(run("info", "--json", tmp_path / "x.pfz"))
    text, digits = facts["entries"]
    assert (text["method"] in ("xz", "zstd"), digits["method"]) == (True, "model")
    assert [text["bytes_in"], digits["bytes_in"]] == [len(CONTENTS["text"]), 300 * 64 + 128]
    assert facts["file_bytes"] == text["bytes_in"] + digits["bytes_in"]
    assert text["bytes_out"] + digits["bytes_out"] + facts["header_bytes"] == facts["bytes"]
    assert facts["bytes"] == (tmp_path / "x.pfz").stat().st_size
    assert facts["ratio"] == facts["bytes"] / facts["file_bytes"]
    shown = run("info", tmp_path / "x.pfz").decode()
    assert f"{text['bytes_in']:,} -> {text['bytes_out']:,} bytes by {text['method']}" in shown


def test_info_gives_files_that_are_coded_together_one_size(tmp_path) -> None:
    save_portable(small(), tmp_path / "codec.safetensors")
    (tmp_path / "both").mkdir()
    for name in ("text", "noise"):
        (tmp_path / "both" / name).write_bytes(CONTENTS[name])
    run("compress", tmp_path / "both", "-m", tmp_path / "codec.safetensors", "-o", tmp_path / "x.pfz")
    facts = json.loads(run("info", "--json", tmp_path / "x.pfz"))
    (group,) = facts["groups"]
    assert [(entry["bytes_out"], entry["group"]) for entry in facts["entries"]] == [(None, 0)] * 2
    assert group["bytes_in"] == len(CONTENTS["text"]) + len(CONTENTS["noise"]) == facts["file_bytes"]
    assert group["bytes_out"] + facts["header_bytes"] == facts["bytes"]
    shown = run("info", tmp_path / "x.pfz").decode()
    together = f"{group['bytes_in']:,} -> {group['bytes_out']:,} bytes:"
    assert f"2 entries coded together in one block, {together}" in shown
    assert f"(30000,), 30,000 bytes by {facts['entries'][0]['method']}\n" in shown


def test_a_model_of_other_data_is_told() -> None:
    images = np.repeat(np.repeat(random.integers(0, 2, (200, 4, 4)) * 16, 2, 1), 2, 2).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compress(small(), digits_of(200))
    sharp = _sharp()
    with pytest.warns(
        MisfitWarning, match=r"takes \d+\.\d\d bits a dimension for them, and \d\.\d\d for data of its own"
    ):
        compress(sharp, images)


def _sharp() -> pf.codec.PortableFlow:
    """A model whose logistics, five for each pixel, are narrow."""
    flow = pf.models.coarse_to_fine(shape=(1, 8, 8), levels=17, hidden=[4], blocks=1)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if "biases" in name:
                parameter[10:] -= 4.0
    return export(flow.eval())


@pytest.mark.parametrize("name", CONTENTS)
def test_general_coders_give_their_content_back(name: str) -> None:
    content = CONTENTS[name]
    data = general.encode(content)
    assert general.decode(data, len(content)) == content
    coded = min(len(zstandard.ZstdCompressor(22).compress(content)), xz(content), len(content) + 12)
    assert len(data) <= coded
    for length in (len(content) - 1, len(content) + 1):
        if length >= 0:
            with pytest.raises(CodecError):
                general.decode(data, length)


def test_files_in_an_archive_are_arrays_too() -> None:
    stream = io.BytesIO()
    np.savez(stream, a=digits_of(2), b=np.arange(3))
    files = [File("a.npz", stream.getvalue()), File("notes", b"no array")]
    entries = unpack(small(), pack_files(small(), files))
    assert [entry.name for entry in entries] == ["a.npz", "a.npz", "notes"]
    assert np.array_equal(entries[0].array, digits_of(2)) and np.array_equal(entries[1].array, np.arange(3))
    assert entries[2].array.tobytes() == b"no array"
