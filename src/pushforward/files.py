"""Writing files so that a killed run leaves the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pushforward.errors import FileError, UsageError

_LONGEST_SUFFIX = 40


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends without an error.

    A device or a pipe keeps its place: what was written is copied into it then.

    Raises:
        FileError: the file cannot be written there; what was at ``path`` before is left as it was.

    Example:
        >>> import tempfile, pathlib
        >>> target = pathlib.Path(tempfile.mkdtemp()) / "numbers.txt"
        >>> with atomic_path(target) as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> target.read_text()
        '1 2 3'
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stays = _is_device(target)
        # The suffix stays last: many writers choose the format by it. A longer one is a part of a name.
        suffix = target.suffix if len(os.fsencode(target.suffix)) <= _LONGEST_SUFFIX else ""
        folder = None if stays else target.parent
        handle, name = tempfile.mkstemp(prefix=f".{target.stem[:40]}.", suffix=suffix, dir=folder)
        os.close(handle)
        temporary = Path(name)
        # mkstemp makes the file private; a finished file has the usual mode.
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        if stays:
            with temporary.open("rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        else:
            temporary.replace(target)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def atomic_write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write ``content`` to ``path`` by way of a temporary file and a rename.

    Raises:
        FileError: the file cannot be written there; what was at ``path`` before is left as it was.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder ``path`` and check that a file can be written into it.

    Raises:
        FileError: a file stands in its place, or nothing can be written there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def check_folder(path: str | os.PathLike[str]) -> None:
    """Check, without making anything, that the folder ``path`` can be made or written into.

    Raises:
        FileError: a file stands in its place, or nothing may be written there.
    """
    folder = Path(path)
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise unwritable(folder, NotADirectoryError(errno.ENOTDIR, f"{nearest} is a file"))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise unwritable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def choose_writer(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> str:
    """Return the suffix of ``path``, which must be one of ``suffixes``.

    Raises:
        UsageError: it is not.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(suffixes)}, got {suffix or 'no ending'}")
    return suffix


def unwritable(path: Path, error: OSError) -> FileError:
    """The error that says why ``path`` cannot be written."""
    return FileError(f"cannot write {path}: {error.strerror or error}; choose another place or make room there")


def _is_device(path: Path) -> bool:
    """Whether something that is no file stands there, which a file must not replace."""
    # /dev/stdout may lead to a file.
    return path.absolute().parent == Path("/dev") or (path.exists() and not path.is_file() and not path.is_dir())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
