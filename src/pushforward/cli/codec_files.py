"""Where the codec's commands read from and write to: files, folders and the standard streams."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pushforward.errors import CheckpointError, CodecError, DataError, UsageError

if TYPE_CHECKING:
    from pushforward.codec.archive.entry import File
    from pushforward.codec.archive.formats import Opened
    from pushforward.codec.model import CodecModel

SUFFIX = ".pfz"
STREAM = Path("-")


def load_model(path: Path, advice: str = "name one with --model") -> CodecModel:
    """A portable model, a model file, or the model of a run, as what codes with it.

    Raises:
        CheckpointError: if there is none or it cannot be read.
    """
    from pushforward.codec.api import as_model
    from pushforward.codec.exact.state import is_portable_file, load_portable
    from pushforward.flows.saving import MODEL, load

    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"no model at {file}: {advice}")
    return load_portable(file) if is_portable_file(file) else as_model(load(file))


def sources_of(inputs: list[Path] | None) -> list[Path]:
    """What is read: the inputs, standard input where there are none.

    Raises:
        UsageError: if standard input is among them twice.
    """
    refuse_reading_twice(inputs or [])
    return inputs or [STREAM]


def refuse_reading_twice(paths: Sequence[Path]) -> None:
    """Raise if standard input is to be read more than once: the second time nothing would be left of it."""
    if list(paths).count(STREAM) > 1:
        raise UsageError("standard input (-) can be read but once, and is named several times")


def target_of(out: Path | None, to_stdout: bool) -> Path | None:
    """Where all results go: one place, or None where each goes beside its input."""
    if to_stdout and out is not None and out != STREAM:
        raise UsageError("--stdout and --out exclude each other")
    return STREAM if to_stdout else out


def beside(path: Path) -> Path:
    """Where a file goes when it is compressed by itself."""
    if path.name.endswith(SUFFIX):
        raise DataError(f"{path} is compressed already (it ends in {SUFFIX}): name an --out to compress it again")
    return _named(path).with_name(_named(path).name + SUFFIX)


def place_of(source: Path, target: Path | None, name: str, names: list[str]) -> Path:
    """Where a file of a compressed one goes, of those called ``names``.

    Raises:
        CodecError: if it would lie out of the folder that is written to.
        UsageError: if there is nowhere to put it.
    """
    from pushforward.codec.archive.names import refuse_links, safe_path

    if target == STREAM or (target is None and source == STREAM):
        if len(names) != 1:
            raise UsageError(f"{source} holds {len(names)} files, which do not fit on standard output: use --out")
        return STREAM
    if names == [name] and "/" not in name:
        if target is not None and not target.is_dir():
            return target
        return (source.parent if target is None else target) / safe_path(name or _without_suffix(source))
    path, folder = safe_path(name), source.parent if target is None else target
    # A folder given by --out stands for the folder that was compressed.
    if target is not None and _is_one_folder(names):
        path = PurePosixPath(*path.parts[1:])
    refuse_links(folder, path)
    return folder / path


def _is_one_folder(names: list[str]) -> bool:
    parts = [PurePosixPath(name).parts for name in names]
    return all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) == 1


def _without_suffix(source: Path) -> str:
    if source.name.endswith(SUFFIX) and len(source.name) > len(SUFFIX):
        return source.name[: -len(SUFFIX)]
    raise UsageError(f"{source} does not tell how its content is called: name an --out")


def read_files_of(path: Path) -> list[File]:
    """A file, all files below a folder, or standard input.

    Files of a folder are named by their places in it, the folder's own name first.

    Raises:
        DataError: if one cannot be read, or there is none.
    """
    from pushforward.codec.archive.entry import File

    if path == STREAM:
        return [File("", sys.stdin.buffer.read())]
    if not path.is_dir():
        return [File(path.name, read_content(path), _mode(path))]
    top = _named(path).name
    found, _ = _below(path)
    if not found:
        raise DataError(f"{path}: expected files in the folder, found none")
    return [
        File(str(PurePosixPath(top, *below.relative_to(path).parts)), read_content(below), _mode(below))
        for below in found
    ]


def left_out_of(path: Path) -> list[Path]:
    """What :func:`read_files_of` leaves out of a folder: empty folders, links to folders or nowhere, and devices."""
    return _below(path)[1] if path.is_dir() else []


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files below a folder, in order, and what else there is that no file stands for."""
    files: list[Path] = []
    others: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=_refuse_unreadable):
        place = Path(root)
        if not folders and not names and place != folder:
            others.append(place)
        others += [place / name for name in folders if (place / name).is_symlink()]
        for name in names:
            (files if (place / name).is_file() else others).append(place / name)
    return sorted(files), sorted(others)


def _refuse_unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _named(path: Path) -> Path:
    """The path, or where it leads if it ends in no name; a link keeps the name that it has.

    Raises:
        UsageError: if that has no name either: it is the root of the file system.
    """
    named = path if path.name not in ("", "..") else path.resolve()
    if not named.name:
        raise UsageError(f"{path} has no name of its own that its archive could keep: name a file or folder below it")
    return named


def read_content(path: Path) -> bytes:
    """What is in a file or comes in on standard input.

    Raises:
        DataError: if it cannot be read.
    """
    if path == STREAM:
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def write_content(place: Path, content: bytes, mode: int | None = None) -> None:
    """Write all of it, or leave what was there; ``mode`` is the file's permissions from the beginning."""
    from pushforward.files import atomic_path

    if place == STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with atomic_path(place) as temporary, temporary.open("wb") as file:
        if mode is not None:
            temporary.chmod(mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def shared_mode(files: Sequence[File]) -> int | None:
    """The permissions of a file that holds these: nobody may read it who may not read them all."""
    modes = [file.mode for file in files if file.mode is not None]
    return reduce(and_, modes) & 0o666 | 0o600 if modes else None


def restored_mode(source: Path, mode: int | None) -> int | None:
    """The permissions of a file out of a compressed one: those it had, as far as the compressed one grants them."""
    if source == STREAM or mode is None:
        return mode
    granted = _mode(source)
    # Who may read the compressed file may run what is in it.
    return mode & (granted | (granted & 0o444) >> 2)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) & 0o777


def refuse_to_write_over(place: Path, force: bool) -> None:
    """Raise where something would be lost, unless that is wanted."""
    if force:
        return
    if place == STREAM:
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal: redirect it, or use --force")
    elif os.path.lexists(place):
        raise DataError(f"{place} is there already: use --force to write over it")


def refuse_same_names(paths: list[Path]) -> None:
    """Raise if inputs could not be told apart once they are in one file."""
    names = [_named(path).name for path in paths]
    if len(set(names)) != len(names):
        raise UsageError("several inputs have one name: decompressed, they would be written over each other")


def verify_archive(model: CodecModel, place: Path, opened: Sequence[Opened]) -> None:
    """Before inputs are removed, read back what was written of them.

    Raises:
        CodecError: if that is not what was read, or for a file whose pixels alone are kept, not the file of these.
    """
    from pushforward.codec.archive.formats import write_files
    from pushforward.codec.archive.packing import unpack_files

    for back, item in zip(unpack_files(model, place.read_bytes()), opened, strict=True):
        same = {item.file.content} | {file.content for file in write_files(item.entries) if item.lost}
        if back.name != item.file.name or back.content not in same:
            raise CodecError(f"{place} does not read back: the input is kept")


def verify_files(places: Sequence[Path], files: Sequence[File]) -> None:
    """Before a compressed file is removed, read back what was written of it.

    Raises:
        CodecError: if a file is not as it was written.
    """
    for place, file in zip(places, files, strict=True):
        if read_content(place) != file.content:
            raise CodecError(f"{place} does not read back: the input is kept")


def remove(paths: Sequence[Path], contents: Mapping[str, bytes]) -> None:
    """Remove inputs that are files and still hold what was read of them, by name; folders stay."""
    for path in paths:
        if not path.is_file():
            continue
        if read_content(path) != contents.get(path.name, b""):
            raise DataError(f"{path} has changed since it was read: it is kept")
        try:
            path.unlink()
        except OSError as error:
            raise DataError(f"{path}: cannot be removed ({error.strerror}); what was made of it is whole") from error
