"""Files wherever fsspec reaches: on this machine, in an object store, in memory."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pushforward.errors import DataError, FileError, UsageError
from pushforward.extras import requires
from pushforward.files import atomic_path

ENDING = ".parquet"


def filesystem(address: str | os.PathLike[str]) -> tuple[Any, str]:
    """The file system of an address and the path in it.

    Raises:
        UsageError: no package here knows this kind of address.
    """
    with requires("data", purpose="an address of files"):
        from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(os.fspath(address))
    except (ValueError, ImportError) as error:
        raise UsageError(f"{address}: {error}") from error
    return fs, str(path)


def parquet_files(source: str | os.PathLike[str]) -> dict[str, str]:
    """The parquet files of a folder (with those in it), a glob or one file: addresses by their names below the folder.

    Names that begin with a dot or an underscore are left out, as Spark and Hive do.

    Raises:
        DataError: there are none.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a.parquet").touch(), (folder / "_SUCCESS").touch()
        (None, None)
        >>> list(parquet_files(folder))
        ['a.parquet']
    """
    fs, path = filesystem(source)
    root, _, _ = path.partition("*")
    root = path if fs.isdir(path) else root.rpartition("/")[0]
    try:
        paths = fs.glob(path) if "*" in path else fs.find(path)
    except OSError as error:
        raise DataError(f"{source}: cannot be listed ({error})") from error
    names = {str(PurePosixPath(each).relative_to(root)): each for each in sorted(paths)}
    found = {
        name: str(fs.unstrip_protocol(each))
        for name, each in names.items()
        if name.endswith(ENDING) and not any(part.startswith((".", "_")) for part in name.split("/"))
    }
    if not found:
        raise DataError(f"{source}: no {ENDING} files there; give a folder, a file, or a glob in quotes")
    return found


@contextmanager
def opened(address: str) -> Iterator[Any]:
    """A file to be read.

    Raises:
        DataError: it cannot be read.
    """
    fs, path = filesystem(address)
    try:
        file = fs.open(path, "rb")
    except OSError as error:
        raise DataError(f"{address}: cannot be read ({error})") from error
    with file:
        yield file


@contextmanager
def replaced(address: str) -> Iterator[Path]:
    """Yield a path on this machine whose file takes the place of ``address`` when the block ends without an error.

    Elsewhere than on this machine it is put beside its place and moved, so that nobody ever sees a part of it.

    Raises:
        FileError: the file cannot be written there; what was there before is left as it was.
    """
    fs, path = filesystem(address)
    if "file" in fs.protocol:
        with atomic_path(path) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / f"partition{ENDING}"
        yield local
        parent, _, name = path.rpartition("/")
        beside = f"{parent}/.{name.removesuffix(ENDING)}.{uuid.uuid4().hex}{ENDING}"
        try:
            fs.makedirs(parent, exist_ok=True)
            fs.put_file(str(local), beside)
            fs.mv(beside, path)
        except OSError as error:
            raise FileError(f"cannot write {address}: {error}; choose another place or make room there") from error


def hidden_from(name: str) -> str:
    """What file, without its ending, a temporary one of `replaced` was to become; empty for any other name.

    Example:
        >>> hidden_from("deep/.a.parquet.x1y2.parquet"), hidden_from(".a.x1y2.parquet"), hidden_from("a.parquet")
        ('deep/a.parquet', 'a', '')
    """
    parent, _, own = name.rpartition("/")
    stem = own.removesuffix(ENDING).rpartition(".")[0]
    return f"{parent}/{stem[1:]}".strip("/") if own.startswith(".") and len(stem) > 1 else ""
