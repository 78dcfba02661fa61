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
import typer
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli import codec as commands
from pushforward.cli.main import run as run_app
from pushforward.codec import compress, decompress, load_portable, unpack
from pushforward.codec.archive.formats import FILE, KINDS, read_entries, write_files
from pushforward.codec.archive.names import safe_path
from pushforward.data.idx import read_idx, write_idx
from pushforward.errors import CodecError, UsageError

app = typer.Typer()
commands.register(app)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A saved integer flow and its export."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    flow = pf.build("idf", shape=(1, 8, 8), levels=256, hidden=[6], blocks=1, coupling_hidden=4, layers=1)
    pf.save(flow, folder / "model.safetensors")
    _run("export-codec", folder / "model.safetensors", "-o", folder / "codec.safetensors")
    return folder / "codec.safetensors"


def _run(*arguments: object, expect: type[BaseException] | None = None, stdin: bytes | None = None) -> bytes:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if expect is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, expect), (result.output, result.exception)
    return result.stdout_bytes


def _images(count: int = 5, size: int = 8) -> np.ndarray:
    smooth = np.add.outer(np.arange(size) * 7, np.arange(size) * 5)
    return (smooth + 3 * np.arange(count)[:, None, None]).astype(np.uint8)


def _png(image: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def _pictures() -> dict[str, bytes]:
    grey = _images(1, 13)[0]
    colour = np.stack([grey, 255 - grey, grey // 2], -1)
    palette = Image.fromarray(grey).convert("P")
    palette.putpalette([value for index in range(256) for value in (index, 255 - index, index // 3)])
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "somebody")
    return {
        "grey": _png(Image.fromarray(grey)),
        "colour": _png(Image.fromarray(colour)),
        "alpha": _png(Image.fromarray(np.concatenate([colour, grey[..., None]], -1), "RGBA")),
        "grey-alpha": _png(Image.fromarray(np.stack([grey, 255 - grey], -1), "LA")),
        "palette": _png(palette, transparency=3),
        "few-colours": _png(Image.fromarray(colour).quantize(5)),
        "bits": _png(Image.fromarray(grey > 40)),
        "sixteen": _png(Image.fromarray(grey.astype(np.uint16) * 257)),
        "one-pixel": _png(Image.fromarray(grey[:1, :1])),
        "with-notes": _png(Image.fromarray(grey), pnginfo=notes, dpi=(300, 300)),
    }


def _same_picture(first: bytes, second: bytes) -> None:
    with Image.open(io.BytesIO(first)) as a, Image.open(io.BytesIO(second)) as b:
        assert (a.mode, a.size) == (b.mode, b.size)
        assert np.array_equal(np.asarray(a), np.asarray(b))
        assert np.array_equal(np.asarray(a.convert("RGBA")), np.asarray(b.convert("RGBA")))
        assert a.info == b.info


@pytest.mark.parametrize("name", _pictures())
def test_pictures_come_back_with_all_they_show(name):
    content = _pictures()[name]
    entries = read_entries(content, "a.png")
    assert KINDS[entries[0].kind] == "png"
    ((back_name, back),) = write_files(entries)
    assert back_name == "a.png"
    _same_picture(content, back)


def test_what_a_library_would_flatten_goes_in_as_bytes():
    deep = bytearray(_pictures()["colour"])
    deep[24] = 16
    film = _png(Image.fromarray(_images()[0]), save_all=True, append_images=[Image.fromarray(_images()[1])])
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}]), allow_pickle=True)
    broken = _pictures()["grey"][:-20]
    for content in (
        bytes(deep),
        film,
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
        assert write_files(entries) == [("x", content)]


@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_files_come_back_byte_by_byte(order):
    for array in (np.asarray(_images(), order=order), np.zeros((2, 0)), np.array(3.5), np.arange(6, dtype=">i4")):
        stream = io.BytesIO()
        np.save(stream, array)
        assert write_files(read_entries(stream.getvalue(), "x.npy")) == [("x.npy", stream.getvalue())]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_arrays_come_back(save):
    stream = io.BytesIO()
    save(stream, images=_images(), b=np.arange(5.0))
    ((_, content),) = write_files(read_entries(stream.getvalue(), "x.npz"))
    back = np.load(io.BytesIO(content))
    assert back.files == ["images", "b"]
    assert np.array_equal(back["images"], _images()) and np.array_equal(back["b"], np.arange(5.0))


def test_one_file_and_its_own_name(model, tmp_path):
    path = tmp_path / "images-idx3-ubyte"
    write_idx(path, _images())
    content = path.read_bytes()
    _run("compress", path, "-m", model)
    assert path.read_bytes() == content
    path.unlink()
    _run("test", tmp_path / "images-idx3-ubyte.pfz", "-m", model)
    assert not path.exists()
    _run("decompress", tmp_path / "images-idx3-ubyte.pfz", "-m", model)
    assert path.read_bytes() == content
    facts = json.loads(_run("info", "--json", tmp_path / "images-idx3-ubyte.pfz"))
    assert facts["entries"] == [{"name": "images-idx3-ubyte", "kind": "idx", "dtype": "|u1", "shape": [5, 8, 8]}]


def test_gzipped_idx(model, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(gzip.decompress(_gz_idx(tmp_path)), mtime=7))
    array = read_idx(path)
    _run("compress", path, "-m", model, "-o", tmp_path / "x.pfz")
    _run("decompress", tmp_path / "x.pfz", "-m", model, "--out", tmp_path / "back.gz")
    assert np.array_equal(read_idx(tmp_path / "back.gz"), array)


def _gz_idx(folder: Path) -> bytes:
    write_idx(folder / "source.gz", _images())
    return (folder / "source.gz").read_bytes()


def test_a_folder_comes_back_with_its_names(model, tmp_path):
    folder = tmp_path / "faces"
    (folder / "below").mkdir(parents=True)
    for name, content in _pictures().items():
        (folder / f"{name}.png").write_bytes(content)
    (folder / "below" / "notes.txt").write_text("ü")
    np.save(folder / "below" / "a b.npy", _images())
    _run("compress", folder, "-m", model, "-o", tmp_path / "faces.pfz")
    _run("decompress", tmp_path / "faces.pfz", "-m", model, "-o", tmp_path / "back")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert names == sorted(str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*"))
    for name in _pictures():
        _same_picture((folder / f"{name}.png").read_bytes(), (tmp_path / "back" / f"{name}.png").read_bytes())
    for name in ("notes.txt", "a b.npy"):
        assert (folder / "below" / name).read_bytes() == (tmp_path / "back" / "below" / name).read_bytes()


def test_streams(model, tmp_path):
    np.save(tmp_path / "x.npy", _images())
    content = (tmp_path / "x.npy").read_bytes()
    compressed = _run("compress", "-", "-m", model, "-q", stdin=content)
    assert _run("decompress", "-m", model, "-q", stdin=compressed) == content
    assert _run("decompress", "-c", "-m", model, "-q", stdin=compressed) == content
    assert np.array_equal(decompress(load_portable(model), compressed), _images())


def test_several_files_each_or_together(model, tmp_path):
    paths = [tmp_path / f"{name}.npy" for name in "ab"]
    for index, path in enumerate(paths):
        np.save(path, _images() + index)
    _run("compress", *paths, "-m", model)
    assert all(Path(f"{path}.pfz").exists() for path in paths)
    _run("compress", *paths, "-m", model, "-o", tmp_path / "both.pfz")
    entries = unpack(load_portable(model), (tmp_path / "both.pfz").read_bytes())
    assert [entry.name for entry in entries] == ["a.npy", "b.npy"]
    (tmp_path / "out").mkdir()
    _run("decompress", tmp_path / "both.pfz", "-m", model, "-o", tmp_path / "out")
    assert (tmp_path / "out" / "b.npy").read_bytes() == paths[1].read_bytes()


def test_nothing_is_written_over_or_lost(model, tmp_path):
    path, target = tmp_path / "x.npy", tmp_path / "x.npy.pfz"
    np.save(path, _images())
    target.write_bytes(b"precious")
    _run("compress", path, "-m", model, expect=pf.errors.DataError)
    assert target.read_bytes() == b"precious"
    _run("compress", path, "-m", model, "--force")
    damaged = bytearray(target.read_bytes())
    damaged[40] ^= 1
    (tmp_path / "bad.pfz").write_bytes(damaged)
    before = path.read_bytes()
    for verb in ("test", "decompress"):
        _run(verb, tmp_path / "bad.pfz", "-m", model, expect=CodecError)
    _run("decompress", target, "-m", model, expect=pf.errors.DataError)
    assert path.read_bytes() == before
    _run("compress", path, "-m", model, "--force", "--rm")
    assert not path.exists()
    _run("decompress", target, "-m", model, "--rm")
    assert path.read_bytes() == before and not target.exists()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bad.pfz", "x.npy"]


def test_one_failure_does_not_stop_the_others(model, tmp_path):
    np.save(tmp_path / "x.npy", _images())
    _run("compress", tmp_path / "missing", tmp_path / "x.npy", "-m", model, expect=CodecError)
    assert (tmp_path / "x.npy.pfz").exists()
    _run("compress", tmp_path / "x.npy.pfz", "-m", model, expect=pf.errors.DataError)
    _run("compress", tmp_path / "x.npy", "-m", tmp_path / "no-model", expect=pf.errors.CheckpointError)
    _run("compress", tmp_path / "x.npy", "-m", model, "-c", "-o", "y", expect=UsageError)


def test_previews_are_pictures_too(model, tmp_path):
    np.save(tmp_path / "x.npy", _images())
    _run("compress", tmp_path / "x.npy", "-m", model)
    _run("decompress", tmp_path / "x.npy.pfz", "-m", model, "--preview", 0, "-o", tmp_path / "y.npy")
    assert np.load(tmp_path / "y.npy").shape == _images().shape


def test_names_that_lead_out_of_the_folder_are_refused():
    for name in ("../x", "/etc/passwd", "a/../../b", "C:\\x", "a\\b", "", "."):
        with pytest.raises(CodecError):
            safe_path(name)


def test_exit_codes(model, tmp_path, capfd):
    np.save(tmp_path / "x.npy", _images())
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
    images = (_images(70).astype(np.int64) + noise).clip(0, 255).astype(np.uint8)
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
    np.save(tmp_path / "images.npy", _images())
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
