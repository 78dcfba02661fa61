"""Stored names as paths below the folder that is written to."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from pushforward.errors import CodecError


def safe_path(name: str) -> PurePosixPath:
    """A stored name as a path below a folder; characters that this system takes for a file's name stay as they are.

    Raises:
        CodecError: if the name would lead out of the folder.

    >>> safe_path("faces/a.png")
    PurePosixPath('faces/a.png')
    """
    path = PurePosixPath(name)
    foreign = os.name == "nt" and ("\\" in name or ":" in name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or foreign:
        raise CodecError(f"the file holds the name {shown(name)!r}, which leads out of the folder: it is not written")
    return path


def refuse_links(folder: Path, path: PurePosixPath) -> None:
    """Raise where a link stands on the way from a folder to a path below it.

    Raises:
        CodecError: if what is written there would end up elsewhere.
    """
    place = folder
    for part in path.parts[:-1]:
        place /= part
        if place.is_symlink():
            raise CodecError(
                f"{place} is a link, which may lead out of the folder: {shown(str(path))!r} is not written"
            )


def shown(name: str) -> str:
    """A name as a terminal can show it, bytes that are no text as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
