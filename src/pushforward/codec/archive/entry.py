"""What compressed files are made of: arrays with names, and what the files that they came from need besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Piece = tuple[NDArray[Any], bytes]
"""An array of a file, and what else the file needs."""


@dataclass
class Entry:
    """One array of a file: its name, the kind of file it came from (0 for none), and what else that file needs."""

    array: NDArray[Any]
    name: str = ""
    kind: int = 0
    extra: bytes = b""
