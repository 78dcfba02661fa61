"""One training at a time in a folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pushforward.errors import FileError
from pushforward.files import make_folder, unwritable

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, made if need be, for the length of a block; whoever only reads it needs no lock.

    The system lets go of the lock when its process ends, however it ends, so none is left by a killed one. A process
    may lock a folder again that it holds. What stands in the file says who holds it.

    Raises:
        FileError: another process holds the folder, or nothing can be written there.

    Example:
        >>> import tempfile
        >>> with locked(Path(tempfile.mkdtemp())) as held:
        ...     pass
    """
    path = make_folder(folder).resolve() / LOCK
    lock = FileLock(path, timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise FileError(
            f"{folder}: another training works there ({_holder(path)}); wait until it ends, or choose another folder"
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        if lock.lock_counter == 1:
            _write(path, f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
        yield
    finally:
        if lock.lock_counter == 1:
            _write(path, "")
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text().strip() or "of which nothing is known"
    except OSError:
        return "of which nothing is known"


def _write(path: Path, text: str) -> None:
    """Say who holds the lock; a disk without room for that is told by what follows."""
    try:
        path.write_text(text)
    except OSError:
        return
