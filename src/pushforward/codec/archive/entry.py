"""What compressed files are made of: files, and arrays with what the files that they came from need besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Piece = tuple[NDArray[Any], bytes]
"""An array of a file, and what else the file needs."""


@dataclass(frozen=True)
class File:
    """A file: its name (a path with ``/`` below the folder that it came from), its bytes, and its permissions.

    Example:
        >>> file = File("notes/today.txt", b"rain", 0o644)
        >>> file.name, len(file.content), oct(file.mode)
        ('notes/today.txt', 4, '0o644')
    """

    name: str
    content: bytes
    mode: int | None = None


@dataclass
class Entry:
    """One array of a file: its name, the kind of file it came from (0 for none), and what else that file needs.

    ``mode`` and ``size`` are the permissions and the bytes of that file; of several arrays the first one has them.

    Example:
        >>> import numpy as np
        >>> entry = Entry(np.zeros((2, 4, 4), dtype=np.uint8), "pictures")
        >>> entry.name, entry.array.nbytes, entry.kind
        ('pictures', 32, 0)
    """

    array: NDArray[Any]
    name: str = ""
    kind: int = 0
    extra: bytes = b""
    mode: int | None = None
    size: int = 0
