"""The page's files, by the name that the page asks for them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FIRST = "index.html"
# What the page imports as its model, and who may stand there.
_MODEL = "model.js"
SERVER, TRAINED = "server.js", "trained.js"


def read_files(model: str) -> dict[str, bytes]:
    """The bytes of each file of the page, by name.

    Args:
        model: the script that the page knows as its model.

    Example:
        >>> files = read_files(SERVER)
        >>> files["model.js"] == files["server.js"]
        True
    """
    folder = files("pushforward.playground").joinpath("static")
    found = {file.name: file.read_bytes() for file in folder.iterdir() if suffix(file.name) in _TYPES}
    return {**found, _MODEL: found[model]}


def answers(found: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
    """Type and bytes of each file, by the name that it is asked for; the empty name is the page itself.

    As they are all in memory before the first request, no request reaches a path.

    Example:
        >>> answers(read_files(SERVER))[""][0]
        'text/html; charset=utf-8'
    """
    typed = {name: (_TYPES[suffix(name)], content) for name, content in found.items()}
    return {**typed, "": typed[_FIRST]}


def suffix(name: str) -> str:
    """The end of a file's name, from the last dot."""
    return name[name.rfind(".") :]
