"""Nothing is lost, written elsewhere, or made readable to others; a hostile file is an error and takes no memory."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from codec_helpers import digits_of, run, small

from pushforward.cli.codec_files import left_out_of, read_files_of
from pushforward.codec import Entry, File, compress, decompress, pack, pack_files, save_portable, unpack, unpack_files
from pushforward.codec.archive import general
from pushforward.codec.archive.arrays import DIRECT, OPAQUE
from pushforward.codec.archive.container import MAGIC, VERSION, write_container
from pushforward.codec.archive.description import describe
from pushforward.codec.archive.header import Form, Header, Label
from pushforward.codec.archive.names import safe_path
from pushforward.codec.archive.numbers import Writer
from pushforward.codec.exact.state import load_portable
from pushforward.errors import CheckpointError, CodecError, DataError, FileError, UsageError
from pushforward.files import atomic_write


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "codec.safetensors"
    save_portable(small(), path)
    return path


NAMES = [
    "a:b",
    "C:\\x",
    "back\\slash",
    "ü – 漢",
    os.fsdecode(b"\xff\xfe bytes"),
    "n" * 250,
    "s." + "n" * 248,
    "-",
    " ",
    "line\nbreak",
]


@pytest.mark.skipif(os.name == "nt", reason="names that only POSIX has")
def test_any_name_that_goes_in_comes_out(model: Path, tmp_path: Path) -> None:
    for index, name in enumerate(NAMES):
        folder = tmp_path / str(index)
        folder.mkdir()
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))
        run("compress", folder / name, "-m", model, "-o", folder / "x.pfz", "--rm")
        assert not (folder / name).exists()
        run("info", folder / "x.pfz")
        run("decompress", folder / "x.pfz", "-m", model)
        assert os.fsdecode((folder / name).read_bytes()) == name


def test_any_folder_comes_out(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a:b" / "c\\d").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "a:b" / "c\\d" / name).write_text("x")
    run("compress", tmp_path / "a:b", "-m", model, "-o", tmp_path / "x.pfz")
    run("decompress", tmp_path / "x.pfz", "-m", model, "-o", tmp_path / "back")
    assert sorted(os.listdir(tmp_path / "back" / "c\\d")) == sorted(NAMES)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_keep_their_own_names_and_places(model: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "x").write_text("one")
    (tmp_path / "b" / "y").write_text("two")
    (tmp_path / "b" / "x").symlink_to("y")
    (tmp_path / "a" / "link").symlink_to("../b/y")
    run("compress", tmp_path / "a" / "link", "-m", model)
    assert (tmp_path / "a" / "link.pfz").exists() and not (tmp_path / "b" / "y.pfz").exists()
    run(
        *("compress", tmp_path / "a" / "x", tmp_path / "b" / "x", "-m", model, "-o", tmp_path / "two.pfz", "--rm"),
        expect=UsageError,
    )
    assert (tmp_path / "b" / "x").is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
def test_what_of_a_folder_is_no_file_is_told(model: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "empty").mkdir(parents=True)
    (top / "file").write_text("one")
    (top / "folder").symlink_to(tmp_path)
    (top / "nowhere").symlink_to("nothing")
    assert left_out_of(top) == [top / "empty", top / "folder", top / "nowhere"]
    assert [file.name for file in read_files_of(top)] == ["top/file"]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "file").write_text("one")
    scan = os.scandir

    def refusing(place: str | os.PathLike[str]) -> object:
        if Path(place).name == "closed":
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match="closed: cannot be read"):
        read_files_of(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_pipe_is_written_into_and_keeps_its_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        atomic_write(pipe, b"all of it")
        assert read.result(timeout=10) == b"all of it"
    assert pipe.is_fifo() and os.listdir(tmp_path) == ["pipe"]


def test_names_that_lead_elsewhere_do_not_stop_the_others(model: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "outside")
    names = ["../up", "/absolute", "good/a", "x/../../up", "link/b", "good/b", "good/b"]
    data = pack_files(small(), [File(name, name.encode()) for name in names])
    (tmp_path / "x.pfz").write_bytes(data)
    run("decompress", tmp_path / "x.pfz", "-m", model, "-o", tmp_path / "in", "--rm", expect=CodecError)
    assert (tmp_path / "x.pfz").exists()
    assert sorted(path.name for path in (tmp_path / "in" / "good").iterdir()) == ["a", "b"]
    assert not (tmp_path / "up").exists() and not list((tmp_path / "outside").iterdir())


def test_names_of_windows_are_refused_where_they_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(safe_path("C:\\x")) == "C:\\x"
    monkeypatch.setattr("pushforward.codec.archive.names.os.name", "nt")
    for name in ("C:\\x", "a\\..\\b", "c:x"):
        with pytest.raises(CodecError, match="leads out"):
            safe_path(name)


def test_a_name_that_nothing_can_write_is_refused() -> None:
    with pytest.raises(UsageError, match="name"):
        pack(small(), [Entry(np.zeros(3), "\ud800")])


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o400, 0o755])
def test_permissions_come_back(model: Path, tmp_path: Path, mode: int) -> None:
    path, packed = tmp_path / "x.npy", tmp_path / "x.npy.pfz"
    np.save(path, digits_of(2))
    path.chmod(mode)
    run("compress", path, "-m", model, "--rm")
    assert stat.S_IMODE(packed.stat().st_mode) == mode & 0o666 | 0o200
    run("decompress", packed, "-m", model)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    packed.chmod(0o600)
    run("decompress", packed, "-m", model, "--force")
    assert stat.S_IMODE(path.stat().st_mode) == mode & 0o700


def test_an_input_that_changed_is_kept(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"before")

    def slow(*arguments: object) -> int:
        path.write_bytes(b"after")
        return 0o600

    monkeypatch.setattr("pushforward.cli.codec.shared_mode", slow)
    run("compress", path, "-m", model, "--rm", expect=DataError)
    assert path.read_bytes() == b"after"


def test_an_archive_that_does_not_read_back_keeps_its_input(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"content")
    monkeypatch.setattr("pushforward.codec.archive.packing.unpack_files", lambda *arguments: [File("x", b"other")])
    run("compress", tmp_path / "x", "-m", model, "--rm", expect=CodecError)
    assert (tmp_path / "x").read_bytes() == b"content"


@pytest.mark.parametrize("verb", ["compress", "decompress"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interruption_leaves_the_input_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, error: BaseException
) -> None:
    (tmp_path / "x").write_bytes(b"content")
    if verb == "decompress":
        run("compress", tmp_path / "x", "-m", model, "--rm")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(handle: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    expected = FileError if isinstance(error, OSError) else (SystemExit, KeyboardInterrupt)
    run(verb, *before, "-m", model, "--rm", expect=expected)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def forged(forms: list[Form], blocks: list[bytes], block_size: int = 8, checksums: list[int] | None = None) -> bytes:
    """A file with a right digest and whatever header."""
    header = Header(small().fingerprint, small().event_shape, block_size, forms, [Label("x")] * len(forms))
    header.lengths, header.checksums = list(map(len, blocks)), checksums or [0] * len(blocks)
    return write_container(header, blocks)


SIDE = 2**40
FORGED = {
    "no-bytes": forged([Form(0, "|V0", (3,), OPAQUE)], [b"\0"]),
    "no-text": forged([Form(0, "|S0", (3,), OPAQUE)], [b"\0"]),
    "empty-and-huge": forged([Form(0, "|u1", (0, SIDE, SIDE), OPAQUE)], []),
    "huge": forged([Form(0, "|u1", (SIDE,), OPAQUE)], [b"\1"]),
    "huge-for-the-model": forged([Form(0, "|u1", (2**22, 8, 8), DIRECT)], [b"\2"], 2**32),
    "objects": forged([Form(0, "|O", (3,), OPAQUE)], [b"\0"]),
    "fields": forged([Form(0, "i4,i4", (3,), OPAQUE)], [b"\0"]),
    "no-type": forged([Form(0, "nothing", (3,), OPAQUE)], [b"\0"]),
    "many-axes": forged([Form(0, "|u1", (1,) * 65, OPAQUE)], [b"\0\0"]),
    "unknown-kind": forged([Form(99, "|u1", (1,), OPAQUE)], [b"\0x"], checksums=[2363233923]),
    "unknown-scheme": forged([Form(0, "|u1", (1,), 77)], [b"\0"]),
    "text-for-the-model": forged([Form(0, "<U8", (8, 8), DIRECT)], [b"\2"]),
    "a-block-too-few": forged([Form(0, "|u1", (20, 8, 8), DIRECT)], [b"\2"]),
    "a-model-without-a-name": write_container(
        Header(forms=[Form(0, "|u1", (8, 8), DIRECT)], labels=[Label("x")], lengths=[1], checksums=[0]), [b"\2"]
    ),
    "a-short-fingerprint": write_container(Header(b"model", (1, 8, 8), 8), []),
    "an-event-of-two-axes": write_container(Header(small().fingerprint, (8, 8), 8), []),
    "an-empty-block": forged([Form(0, "|u1", (8, 8), DIRECT)], [b""]),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_header_is_an_error(name: str) -> None:
    with pytest.raises(CodecError):
        unpack_files(small(), FORGED[name], memory_limit=2**26)


@pytest.mark.parametrize("name", ["a-model-without-a-name", "a-short-fingerprint", "an-event-of-two-axes"])
def test_a_forged_header_is_an_error_of_a_description_too(name: str) -> None:
    with pytest.raises(CodecError):
        describe(FORGED[name])


def bomb(header_size: int) -> bytes:
    """A file of few bytes whose header is of many."""
    out = Writer()
    out.data += MAGIC + bytes([VERSION])
    out.number(header_size)
    out.string(general.encode(bytes([0]) + bytes([1]) * (header_size - 1)))
    return bytes(out.data) + hashlib.blake2b(out.data, digest_size=8).digest()


def plain_bomb(size: int) -> bytes:
    """A file whose header, which is not coded, is of many bytes."""
    out = Writer()
    out.data += MAGIC + bytes([VERSION])
    out.number(0)
    out.string(bytes([0]) + bytes([1]) * (size - 1))
    return bytes(out.data) + hashlib.blake2b(out.data, digest_size=8).digest()


def test_a_long_header_is_refused_before_it_is_read() -> None:
    with pytest.raises(CodecError, match="more memory"):
        unpack(small(), plain_bomb(2**21), memory_limit=2**20)


def test_little_files_take_little_memory() -> None:
    hostile = [
        FORGED["huge-for-the-model"],
        FORGED["huge"],
        bomb(2**24),
        forged([Form(0, "|u1", (100_000, 8, 8), DIRECT)], [b"\2\1"], 2**32),
    ]
    assert all(len(data) < 5000 for data in hostile)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for data in hostile:
        for read in (unpack, unpack_files, decompress):
            with pytest.raises(CodecError):
                read(small(), data, memory_limit=6_400_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_what_a_limit_allows_is_read_with_it() -> None:
    digits = digits_of(2000)
    data = compress(small(), digits)
    assert np.array_equal(decompress(small(), data, memory_limit=digits.nbytes), digits)
    with pytest.raises(CodecError, match="limit"):
        decompress(small(), data, memory_limit=digits.nbytes - 1)


def test_forged_files_of_every_kind_end_in_an_error_of_the_codec() -> None:
    generator = np.random.default_rng(0)
    mixed = [File("a", b"text " * 40, 0o600), File("b/c", bytes(200))]
    archives = [
        pack_files(small(), mixed),
        compress(small(), digits_of(9), block_size=4),
        compress(small(), np.arange(50.0)),
    ]
    for index in range(501):
        body = bytearray(archives[index % 3][:-8])
        for _ in range(generator.integers(1, 4)):
            place = int(generator.integers(5, len(body)))
            body[place : place + int(generator.integers(3))] = generator.bytes(int(generator.integers(3)))
        data = bytes(body) + hashlib.blake2b(body, digest_size=8).digest()
        for read in (
            lambda data=data: unpack_files(small(), data, memory_limit=2**20),
            lambda data=data: describe(data),
        ):
            try:
                read()
            except CodecError:
                continue


def test_arrays_without_bytes_are_refused() -> None:
    with pytest.raises(UsageError, match="plain numbers"):
        compress(small(), np.empty(3, "V0"))


@pytest.mark.parametrize("value", [b'"low":1e999', b'"low":-7e3', b'"low":"x"', b'"low":null'])
def test_a_model_with_forged_numbers_is_an_error(model: Path, tmp_path: Path, value: bytes) -> None:
    content = model.read_bytes()
    old = b'"low":0'.replace(b'"', b'\\"')
    assert content.count(old) >= 1
    new = value.replace(b'"', b'\\"')
    length = int.from_bytes(content[:8], "little")
    head = content[8 : 8 + length].replace(old, new)
    (tmp_path / "m").write_bytes(len(head).to_bytes(8, "little") + head + content[8 + length :])
    with pytest.raises(CheckpointError):
        load_portable(tmp_path / "m")


def test_the_model_of_a_file_is_checked_before_its_arrays() -> None:
    header = Header(small().fingerprint, (1, 4, 4), 8, [Form(0, "|u1", (4, 4), DIRECT)], [Label("x")], [1], [0])
    with pytest.raises(CodecError, match="another shape"):
        unpack(small(), write_container(header, [b"\2"]))
    with pytest.raises(CodecError, match="another model"):
        unpack(small(), write_container(replace(header, fingerprint=bytes(16)), [b"\2"]))


@pytest.mark.parametrize("verb", ["compress", "decompress", "test"])
def test_standard_input_is_read_once(model: Path, verb: str) -> None:
    run(verb, "-", "-", "-m", model, stdin=b"content", expect=UsageError)


@pytest.mark.skipif(os.name == "nt", reason="the root of POSIX")
def test_the_root_is_refused_before_anything_is_read(model: Path, tmp_path: Path) -> None:
    run("compress", "/", "-m", model, expect=UsageError)
    run("compress", "/", "-m", model, "-o", tmp_path / "x.pfz", expect=UsageError)
    assert not list(tmp_path.iterdir())
