"""What a public docstring has, each as a question to its text."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

MATHEMATICS = ("scalar", "distributions", "transforms")
PARTS = (*MATHEMATICS, "networks", "models")
ROOMS = (*PARTS, "codec", "data", "diagnostics", "flows", "inference", "partitions", "plots")
ROOMS = (*ROOMS, "sklearn", "spaces", "tables", "testing", "training")


def first_sentence(text: str) -> bool:
    """It begins with a paragraph that ends as a sentence does."""
    return re.search(r"[.:]\)?$", text.split("\n\n")[0].strip()) is not None


def formula(text: str) -> bool:
    """Something is equal to something, as code or set apart."""
    return re.search(r"``[^`]*(=|<-|~)[^`]*``|::\n\n    |\n    [^>\n]*[\w)] = [^\n]*\n|\$", described(text)) is not None


def described(text: str) -> str:
    """A docstring without its example."""
    return text.split("Example:")[0]


def shapes(text: str) -> bool:
    """A tuple as code, a shape by name, or a space."""
    return re.search(r"``\([^`]*\)?``|\([A-Z]\w*, |shape|element by element", text) is not None


def raises(text: str) -> bool:
    """A section of errors."""
    return "Raises:" in text


def source(text: str) -> bool:
    """A paper, by its number or its year."""
    return re.search(r"arXiv:|\b(1[89]|20)\d\d\b", described(text)) is not None


def example(text: str) -> bool:
    """An example, which runs with the doctests."""
    return ">>> " in text


CHECKS: dict[str, tuple[Callable[[str], bool], tuple[str, ...]]] = {
    "meaning": (first_sentence, ROOMS),
    "formula": (formula, MATHEMATICS),
    "shapes": (shapes, PARTS),
    "raises": (raises, ROOMS),
    "source": (source, PARTS),
    "example": (example, ROOMS),
}


def public_docstrings() -> dict[str, str]:
    """The docstring of every public class and function, by room and name."""
    return {
        f"{room}.{name}": inspect.getdoc(value) or ""
        for room in ROOMS
        for name, value in public(room).items()
        if inspect.isclass(value) or inspect.isroutine(value)
    }


def public(room: str) -> dict[str, Any]:
    """What a room offers."""
    module = importlib.import_module(f"pushforward.{room}")
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


def missing(check: str, docstrings: dict[str, str]) -> set[str]:
    """Who of those whom it concerns has not what a check asks for."""
    asks, rooms = CHECKS[check]
    return {name for name, text in docstrings.items() if name.split(".")[0] in rooms and not asks(text)}


def as_toml(docstrings: dict[str, str]) -> str:
    """What is missing, as `docstrings_owed.toml` holds it."""
    lines = ["# Public names whose docstrings still miss a part of the template. Lists only get shorter: a name leaves when"]
    lines += ["# its docstring is mended, and none may join."]
    for check in CHECKS:
        names = "".join(f'  "{name}",\n' for name in sorted(missing(check, docstrings)))
        lines += ["", f"{check} = [\n{names}]"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_toml(public_docstrings()), end="")
