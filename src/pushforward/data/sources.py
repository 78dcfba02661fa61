"""Finding what a reader is asked to read."""

from __future__ import annotations

import os
from pathlib import Path

from pushforward.errors import DataError


def require_file(path: str | os.PathLike[str]) -> Path:
    """Return ``path``, which must be an existing file.

    Raises:
        DataError: it is missing or a folder.
    """
    found = Path(path)
    if found.is_dir():
        raise DataError(f"{found}: expected a file, got a folder")
    if not found.exists():
        raise DataError(f"{found}: no such file")
    return found


def require_folder(path: str | os.PathLike[str]) -> Path:
    """Return ``path``, which must be an existing folder.

    Raises:
        DataError: it is missing or a file.
    """
    found = Path(path)
    if not found.exists():
        raise DataError(f"{found}: no such folder")
    if not found.is_dir():
        raise DataError(f"{found}: expected a folder, got a file")
    return found
