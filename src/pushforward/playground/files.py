"""The page's files, by the name that the page asks for them, and nothing else."""

from __future__ import annotations

from importlib.resources import files

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FIRST = "index.html"


def read_files() -> dict[str, tuple[str, bytes]]:
    """Type and bytes of each file of the page, by name; the empty name is the page itself.

    As they are all in memory before the first request, no request reaches a path.

    Example:
        >>> read_files()[""][0]
        'text/html; charset=utf-8'
    """
    found = {
        file.name: (_TYPES[file.name[file.name.rindex(".") :]], file.read_bytes())
        for file in files("pushforward.playground").joinpath("static").iterdir()
        if "." in file.name and file.name[file.name.rindex(".") :] in _TYPES
    }
    return {**found, "": found[_FIRST]}
