"""Where the codec's commands read from and write to: files, folders and the standard streams."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pushforward.errors import CheckpointError, CodecError, DataError, UsageError

if TYPE_CHECKING:
    from pushforward.codec.archive.entry import Entry
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


def target_of(out: Path | None, to_stdout: bool) -> Path | None:
    """Where all results go: one place, or None where each goes beside its input."""
    if to_stdout and out is not None and out != STREAM:
        raise UsageError("--stdout and --out exclude each other")
    return STREAM if to_stdout else out


def beside(path: Path) -> Path:
    """Where a file goes when it is compressed by itself."""
    if path.name.endswith(SUFFIX):
        raise DataError(f"{path} is compressed already (it ends in {SUFFIX}): name an --out to compress it again")
    return path.resolve().with_name(path.resolve().name + SUFFIX)


def places_of(source: Path, target: Path | None, names: list[str]) -> list[Path]:
    """Where the files of one compressed file go."""
    from pushforward.codec.archive.formats import safe_path

    if target == STREAM or (target is None and source == STREAM):
        if len(names) != 1:
            raise UsageError(f"{source} holds {len(names)} files, which do not fit on standard output: use --out")
        return [STREAM]
    if len(names) == 1 and "/" not in names[0]:
        stored = safe_path(names[0]).name if names[0] else _without_suffix(source)
        if target is None:
            return [source.parent / stored]
        return [target / stored if target.is_dir() else target]
    paths = [safe_path(name) for name in names]
    if target is None:
        return [source.parent / path for path in paths]
    # A folder given by --out stands for the folder that was compressed.
    single = len({path.parts[0] for path in paths}) == 1 and all(len(path.parts) > 1 for path in paths)
    return [target.joinpath(*(path.parts[1:] if single else path.parts)) for path in paths]


def _without_suffix(source: Path) -> str:
    if source.name.endswith(SUFFIX) and len(source.name) > len(SUFFIX):
        return source.name[: -len(SUFFIX)]
    raise UsageError(f"{source} does not tell how its content is called: name an --out")


def read_entries_of(path: Path) -> list[Entry]:
    """The arrays of a file, a folder or standard input."""
    from pushforward.codec.archive.formats import read_entries, read_folder

    if path == STREAM:
        return read_entries(sys.stdin.buffer.read(), "")
    if path.is_dir():
        return read_folder(path)
    return read_entries(read_content(path), path.name)


def read_content(path: Path) -> bytes:
    """What is in a file or comes in on standard input."""
    from pushforward.codec.archive.formats import read_bytes

    return sys.stdin.buffer.read() if path == STREAM else read_bytes(path)


def write_content(place: Path, content: bytes) -> None:
    """Write all of it, or leave what was there."""
    from pushforward.files import atomic_write

    if place == STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        atomic_write(place, content)


def refuse_to_write_over(place: Path, force: bool) -> None:
    """Raise where something would be lost, unless that is wanted."""
    if force:
        return
    if place == STREAM:
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal: redirect it, or use --force")
    elif place.exists():
        raise DataError(f"{place} is there already: use --force to write over it")


def refuse_same_names(paths: list[Path]) -> None:
    """Raise if inputs could not be told apart once they are in one file."""
    names = [path.resolve().name for path in paths]
    if len(set(names)) != len(names):
        raise UsageError("several inputs have one name: decompressed, they would be written over each other")


def verify_written(model: CodecModel, place: Path, entries: list[Entry]) -> None:
    """Before an input is removed, read back what was written of it."""
    from pushforward.codec.archive.packing import unpack

    for back, entry in zip(unpack(model, place.read_bytes()), entries, strict=True):
        if back.array.tobytes() != entry.array.tobytes():
            raise CodecError(f"{place} does not read back: the input is kept")


def remove(paths: list[Path]) -> None:
    """Remove inputs that are files; folders stay."""
    for path in paths:
        if not path.is_file():
            continue
        try:
            path.unlink()
        except OSError as error:
            raise DataError(f"{path}: cannot be removed ({error.strerror}); what was made of it is whole") from error
