"""Whether data are still what they were: where a line that names data leads, and a fingerprint of what is there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pushforward.data.load import CLIPS, KINDS
from pushforward.data.numpy_files import split_name
from pushforward.data.toys import TOYS

#: Larger files are judged by their size and by blocks spread over them.
WHOLE = 2**28
_BLOCK, _BLOCKS = 2**20, 64


def place(spec: str) -> Path | None:
    """The file or folder that a line for `load_data` names; None for data that come with the library.

    Example:
        >>> place("mnist:/data/mnist").name, place("moons")
        ('mnist', None)
    """
    if spec == "digits" or spec in TOYS or spec in CLIPS:
        return None
    kind, colon, path = spec.partition(":")
    return split_name(path if colon and kind in KINDS else spec)[0].expanduser()


def from_anywhere(spec: str) -> str:
    """The same line with an absolute path, so that it leads to the data from any working directory."""
    path = place(spec)
    if path is None:
        return spec
    kind, colon, _ = spec.partition(":")
    array = split_name(spec)[1]
    behind = "" if array is None else f":{array}"
    return (f"{kind}:" if colon and kind in KINDS else "") + os.path.abspath(path) + behind


def fingerprint(path: Path) -> str:
    """A short hash of a file's bytes, or of the names and bytes of all visible files under a folder.

    Of a file above 256 MB it is a hash of the size and of 64 blocks of 1 MB, spread evenly from its first byte to its
    last: a change of a few bytes between them is not seen. Where a file lies and when it was written does not count.

    Example:
        >>> import tempfile
        >>> one, two = (Path(tempfile.mkdtemp()) / name for name in ("one.csv", "two.csv"))
        >>> _ = one.write_text("a,b"), two.write_text("a,b")
        >>> fingerprint(one) == fingerprint(two)
        True
    """
    if not path.is_dir():
        return _file_hash(path).hexdigest()
    whole = _hash()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in name.parts):
            whole.update(name.as_posix().encode() + b"\0" + _file_hash(file).digest())
    return whole.hexdigest()


def present_fingerprint(spec: str) -> str | None:
    """The fingerprint of what a line names now; None for data of the library's own, or where there is nothing."""
    path = place(spec)
    return fingerprint(path) if path is not None and path.exists() else None


def _hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _file_hash(path: Path) -> hashlib.blake2b:
    size = path.stat().st_size
    found = _hash()
    found.update(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        if size <= WHOLE:
            while block := file.read(_BLOCK):
                found.update(block)
            return found
        for index in range(_BLOCKS):
            file.seek(index * (size - _BLOCK) // (_BLOCKS - 1))
            found.update(file.read(_BLOCK))
    return found
