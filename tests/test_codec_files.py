"""Files through the codec's command line: what goes in comes out, and nothing is lost on the way."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_helpers import app, run, sample_pictures, smooth_images
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.main import run as run_app
from pushforward.codec import compress, decompress, load_portable, unpack
from pushforward.codec.archive.formats import FILE, KINDS, read_entries, write_files
from pushforward.codec.archive.names import safe_path
from pushforward.data.idx import write_idx
from pushforward.errors import CodecError, UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A saved integer flow and its export."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    flow = pf.build("idf", shape=(1, 8, 8), levels=256, hidden=[6], blocks=1, coupling_hidden=4, layers=1)
    pf.save(flow, folder / "model.safetensors")
    run("export-codec", folder / "model.safetensors", "-o", folder / "codec.safetensors")
    return folder / "codec.safetensors"


@pytest.mark.parametrize("name", sample_pictures())
def test_pictures_come_back_with_all_they_show(name):
    content = sample_pictures()[name]
    entries = read_entries(content, "a.png")
    assert KINDS[entries[0].kind] == "png"
    (back,) = write_files(entries)
    assert (back.name, back.content) == ("a.png", content)


def test_what_a_library_would_flatten_goes_in_as_bytes():
    deep = bytearray(sample_pictures()["colour"])
    deep[24] = 16
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}]), allow_pickle=True)
    broken = sample_pictures()["grey"][:-20]
    for content in (
        bytes(deep),
        pickled.getvalue(),
        broken,
        b"",
        b"text",
        b"\x93NUMPY",
        b"PK\3\4",
        b"\0\0\x08\x01",
    ):
        entries = read_entries(content, "x")
        assert entries[0].kind == FILE
        assert [file.content for file in write_files(entries)] == [content]


@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_files_come_back_byte_by_byte(order):
    for array in (np.asarray(smooth_images(), order=order), np.zeros((2, 0)), np.array(3.5), np.arange(6, dtype=">i4")):
        stream = io.BytesIO()
        np.save(stream, array)
        entries = read_entries(stream.getvalue(), "x.npy")
        assert KINDS[entries[0].kind] == "npy"
        assert [file.content for file in write_files(entries)] == [stream.getvalue()]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_arrays_come_back(save):
    stream = io.BytesIO()
    save(stream, images=smooth_images(), b=np.arange(5.0))
    entries = read_entries(stream.getvalue(), "x.npz")
    assert [KINDS[entry.kind] for entry in entries] == ["npz", "npz"]
    assert np.array_equal(entries[0].array, smooth_images()) and np.array_equal(entries[1].array, np.arange(5.0))
    assert [file.content for file in write_files(entries)] == [stream.getvalue()]


def test_one_file_and_its_own_name(model, tmp_path):
    path = tmp_path / "images-idx3-ubyte"
    write_idx(path, smooth_images())
    content = path.read_bytes()
    run("compress", path, "-m", model)
    assert path.read_bytes() == content
    path.unlink()
    run("test", tmp_path / "images-idx3-ubyte.pfz", "-m", model)
    assert not path.exists()
    run("decompress", tmp_path / "images-idx3-ubyte.pfz", "-m", model)
    assert path.read_bytes() == content
    facts = json.loads(run("info", "--json", tmp_path / "images-idx3-ubyte.pfz"))
    assert [entry["name"] for entry in facts["entries"]] == ["images-idx3-ubyte"]
    assert [entry["bytes_in"] for entry in facts["entries"]] == [len(content)] == [facts["file_bytes"]]
    assert [entry["bytes_out"] for entry in facts["entries"]] == [facts["bytes"] - facts["header_bytes"]]


def test_gzipped_idx(model, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(gzip.decompress(_gz_idx(tmp_path)), compresslevel=3, mtime=7))
    run("compress", path, "-m", model, "-o", tmp_path / "x.pfz")
    run("decompress", tmp_path / "x.pfz", "-m", model, "--out", tmp_path / "back.gz")
    assert (tmp_path / "back.gz").read_bytes() == path.read_bytes()


def _gz_idx(folder: Path) -> bytes:
    write_idx(folder / "source.gz", smooth_images())
    return (folder / "source.gz").read_bytes()


def test_a_folder_comes_back_with_its_names(model, tmp_path):
    folder = tmp_path / "faces"
    (folder / "below").mkdir(parents=True)
    for name, content in sample_pictures().items():
        (folder / f"{name}.png").write_bytes(content)
    (folder / "below" / "notes.txt").write_text("ü")
    np.save(folder / "below" / "a b.npy", smooth_images())
    run("compress", folder, "-m", model, "-o", tmp_path / "faces.pfz")
    run("decompress", tmp_path / "faces.pfz", "-m", model, "-o", tmp_path / "back")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert names == sorted(str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*"))
    for name in sample_pictures():
        assert (folder / f"{name}.png").read_bytes() == (tmp_path / "back" / f"{name}.png").read_bytes()
    for name in ("notes.txt", "a b.npy"):
        assert (folder / "below" / name).read_bytes() == (tmp_path / "back" / "below" / name).read_bytes()


def test_streams(model, tmp_path):
    np.save(tmp_path / "x.npy", smooth_images())
    content = (tmp_path / "x.npy").read_bytes()
    compressed = run("compress", "-", "-m", model, "-q", stdin=content)
    assert run("decompress", "-m", model, "-q", stdin=compressed) == content
    assert run("decompress", "-c", "-m", model, "-q", stdin=compressed) == content
    assert np.array_equal(decompress(load_portable(model), compressed), smooth_images())


def test_several_files_each_or_together(model, tmp_path):
    paths = [tmp_path / f"{name}.npy" for name in "ab"]
    for index, path in enumerate(paths):
        np.save(path, smooth_images() + index)
    run("compress", *paths, "-m", model)
    assert all(Path(f"{path}.pfz").exists() for path in paths)
    run("compress", *paths, "-m", model, "-o", tmp_path / "both.pfz")
    entries = unpack(load_portable(model), (tmp_path / "both.pfz").read_bytes())
    assert [entry.name for entry in entries] == ["a.npy", "b.npy"]
    (tmp_path / "out").mkdir()
    run("decompress", tmp_path / "both.pfz", "-m", model, "-o", tmp_path / "out")
    assert (tmp_path / "out" / "b.npy").read_bytes() == paths[1].read_bytes()


def test_nothing_is_written_over_or_lost(model, tmp_path):
    path, target = tmp_path / "x.npy", tmp_path / "x.npy.pfz"
    np.save(path, smooth_images())
    target.write_bytes(b"precious")
    run("compress", path, "-m", model, expect=pf.errors.DataError)
    assert target.read_bytes() == b"precious"
    run("compress", path, "-m", model, "--force")
    damaged = bytearray(target.read_bytes())
    damaged[40] ^= 1
    (tmp_path / "bad.pfz").write_bytes(damaged)
    before = path.read_bytes()
    for verb in ("test", "decompress"):
        run(verb, tmp_path / "bad.pfz", "-m", model, expect=CodecError)
    run("decompress", target, "-m", model, expect=pf.errors.DataError)
    assert path.read_bytes() == before
    run("compress", path, "-m", model, "--force", "--rm")
    assert not path.exists()
    run("decompress", target, "-m", model, "--rm")
    assert path.read_bytes() == before and not target.exists()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bad.pfz", "x.npy"]


def test_files_of_one_name_are_not_written_over_each_other(model, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "n").write_text(folder)
        run("compress", tmp_path / folder / "n", "-m", model)
    (tmp_path / "out").mkdir()
    archives = [tmp_path / "a" / "n.pfz", tmp_path / "b" / "n.pfz"]
    run("decompress", *archives, "-m", model, "-o", tmp_path / "out", "--force", "--rm", expect=CodecError)
    assert (tmp_path / "out" / "n").read_text() == "a"
    assert [archive.exists() for archive in archives] == [False, True]


def test_one_failure_does_not_stop_the_others(model, tmp_path):
    np.save(tmp_path / "x.npy", smooth_images())
    run("compress", tmp_path / "missing", tmp_path / "x.npy", "-m", model, expect=CodecError)
    assert (tmp_path / "x.npy.pfz").exists()
    run("compress", tmp_path / "x.npy.pfz", "-m", model, expect=pf.errors.DataError)
    run("compress", tmp_path / "x.npy", "-m", tmp_path / "no-model", expect=pf.errors.CheckpointError)
    run("compress", tmp_path / "x.npy", "-m", model, "-c", "-o", "y", expect=UsageError)


def test_previews_are_pictures_too(model, tmp_path):
    np.save(tmp_path / "x.npy", smooth_images())
    run("compress", tmp_path / "x.npy", "-m", model)
    run("decompress", tmp_path / "x.npy.pfz", "-m", model, "--preview", 0, "-o", tmp_path / "y.npy")
    assert np.load(tmp_path / "y.npy").shape == smooth_images().shape


def test_names_that_lead_out_of_the_folder_are_refused():
    for name in ("../x", "/etc/passwd", "a/../../b", "a\0b", "", "."):
        with pytest.raises(CodecError):
            safe_path(name)


def test_exit_codes(model, tmp_path, capfd):
    np.save(tmp_path / "x.npy", smooth_images())
    path = str(tmp_path / "x.npy")
    for arguments, code in (
        (["compress", path, "-m", str(model)], 0),
        (["test", f"{path}.pfz", "-m", str(model)], 0),
        (["info", f"{path}.pfz"], 0),
        (["compress", path, "-m", str(model)], 1),
        (["decompress", path, "-m", str(model)], 1),
        (["test", path, f"{path}.pfz", "-m", str(model)], 1),
        (["info", str(tmp_path)], 1),
        (["compress", path, "-m", str(model), "-c", "-o", "y"], 2),
        (["compress", path, "--no-such-option"], 2),
    ):
        assert run_app(arguments) == code, arguments
        errors = capfd.readouterr().err
        assert "Traceback" not in errors
        assert bool(code) == ("pushforward: " in errors)


_SCRIPT = """
import hashlib, sys
import numpy as np, torch
torch.set_num_threads(int(sys.argv[3]))
if sys.argv[5] == "plain":
    torch.backends.mkldnn.enabled = False
    torch.set_float32_matmul_precision("medium")
from pushforward.codec import compress, decompress, load_portable
model = load_portable(sys.argv[1])
model.pixels = int(sys.argv[4]) * 64
images = np.load(sys.argv[2])
data = compress(model, images, block_size=64)
assert np.array_equal(decompress(model, open(sys.argv[2] + ".pfz", "rb").read()), images)
print(hashlib.sha256(data).hexdigest())
"""


def test_the_same_bytes_from_every_arithmetic(model, tmp_path):
    """Threads, batch sizes, instruction sets, oneDNN on and off: one file, readable by all."""
    noise = np.random.default_rng(0).integers(-3, 4, (70, 8, 8))
    images = (smooth_images(70).astype(np.int64) + noise).clip(0, 255).astype(np.uint8)
    np.save(tmp_path / "x.npy", images)
    data = compress(load_portable(model), images, block_size=64)
    (tmp_path / "x.npy.pfz").write_bytes(data)
    settings: list[tuple[str, str, str, dict[str, str]]] = [
        (
            "1",
            "1",
            "plain",
            {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"},
        ),
        ("2", "7", "", {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}),
        ("2", "512", "plain", {}),
    ]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(model), str(tmp_path / "x.npy"), threads, batch, plain],
            env={**os.environ, **extra},
            stdout=subprocess.PIPE,
            text=True,
        )
        for threads, batch, plain, extra in settings
    ]
    digests = {process.communicate()[0].strip() for process in running}
    assert digests == {hashlib.sha256(data).hexdigest()}


def test_the_model_that_is_used_is_told(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "images.npy", smooth_images())
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["compress", "images.npy"])
    assert str(result.exception) == "no model at codec.safetensors: name one with --model"
    (tmp_path / "codec.safetensors").write_bytes(model.read_bytes())
    result = CliRunner().invoke(app, ["compress", "images.npy"])
    assert result.exit_code == 0 and "model codec.safetensors" in result.stderr
    result = CliRunner().invoke(app, ["compress", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert "[default: codec.safetensors]" in result.stdout
    result = CliRunner().invoke(app, ["export-codec", "nowhere", "-o", "other.safetensors"])
    assert str(result.exception) == "no model at nowhere: name a run, or its model.safetensors"
