"""What a public docstring has, each as a question to its text."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

TOP = "pushforward"
MATHEMATICS = ("scalar", "distributions", "transforms")
PARTS = (*MATHEMATICS, "networks", "models")
ROOMS = (TOP, *PARTS, "codec", "data", "diagnostics", "exporting", "flows", "inference", "partitions", "playground")
ROOMS = (*ROOMS, "plots", "reports", "sklearn", "spaces", "tables", "testing", "training")
MESSAGES = "messages"
# What finds models by name is in their room, and no model itself.
REGISTRY = "registry"
OF_THE_REGISTRY = {f"models.{name}" for name in ("build", "list_models", "model", "recipe_options")}
NOTHING = "\n\nRaises:\n    nothing"


def first_sentence(text: str) -> bool:
    """It begins with a paragraph that ends as a sentence does, or goes on in a formula."""
    return re.match(r"[^\n](.|\n(?!\n))*([.:]\)?|,\n\n\.\. math::.*|,\n\n    .*)(\n|$)", text) is not None


def formula(text: str) -> bool:
    """Something stands in a relation to something, as code or set apart; ``kind="x"`` is an argument."""
    relation = r"\s(=|<|<=|>|>=|<-|->|~|in)\s"
    apart = r"::\n\n    |\n    [^>\n]*[\w)] = [^\n]*\n|\.\. math::|:math:"
    mathematics = described(text).split("Shapes:")[0]
    return as_code(relation, mathematics) or re.search(apart, mathematics) is not None


def as_code(pattern: str, text: str) -> bool:
    """Whether a pattern is in a piece of code of a description."""
    return any(re.search(pattern, code) for code in re.findall(r"``([^`]*)``", described(text)))


def described(text: str) -> str:
    """A docstring without its example."""
    return text.split("Example:")[0]


def shapes(text: str) -> bool:
    """A tuple of sizes as code, a shape by name, or that a map works element by element."""
    size = r"(\.\.\.|[A-Z1-9][\w+*/^ -]*|\w*(inputs|outputs|shape|context)[\w+ ]*)"
    named = re.search(r"_shape\b|\bshapes?\b|element by element", described(text))
    return named is not None or as_code(rf"\({size}(,\s{size})*,?\)", text)


def raises(text: str) -> bool:
    """A section of errors, with something in it."""
    return re.search(r"\nRaises:\n +\S", text) is not None


def source(text: str) -> bool:
    """A paper or a book, by its number or by its author and year."""
    year = r"(1[89]|20)\d\d[a-z]?"
    return re.search(rf"arXiv:\d|\({year}\b|[A-Z][\w.]*,?\s{year}\b", described(text)) is not None


def example(text: str) -> bool:
    """An example, which runs with the doctests."""
    return ">>> " in text


CHECKS: dict[str, tuple[Callable[[str], bool], tuple[str, ...]]] = {
    "meaning": (first_sentence, (*ROOMS, REGISTRY, MESSAGES)),
    "formula": (formula, MATHEMATICS),
    "shapes": (shapes, PARTS),
    "raises": (raises, (*ROOMS, REGISTRY)),
    "source": (source, PARTS),
    "example": (example, (*ROOMS, REGISTRY, MESSAGES)),
}


def public_docstrings() -> dict[str, str]:
    """The docstring of every public class and function, by room and name. One that takes nothing, such as a record that
    is handed out, or an interface, raises nothing either: it says so here, not in its docstring."""
    named = {f"{room}.{name}": value for room in ROOMS for name, value in public(room).items()}
    return {name: (inspect.getdoc(value) or "") + NOTHING * takes_nothing(value) for name, value in named.items()}


def public(room: str) -> dict[str, Any]:
    """The classes and functions of a room."""
    module = importlib.import_module(TOP if room == TOP else f"{TOP}.{room}")
    offered = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    return {name: value for name, value in offered.items() if inspect.isclass(value) or inspect.isroutine(value)}


def method_docstrings() -> dict[str, str]:
    """The docstring of every public method and property of our public classes, or of what it overrides."""
    classes = {value for room in ROOMS for value in public(room).values() if inspect.isclass(value)}
    found = [(cls, name) for cls in classes for name in dir(cls) if not name.startswith("_") and ours(cls, name)]
    return {f"{cls.__qualname__}.{name}": inspect.getdoc(getattr(cls, name)) or "" for cls, name in found}


def ours(cls: type, name: str) -> bool:
    """Whether a class of Pushforward has defined an attribute of a class, as a method or property."""
    home = next(each for each in cls.__mro__ if name in vars(each))
    defined = vars(home)[name]
    return home.__module__.startswith(TOP) and (isinstance(defined, property) or inspect.isroutine(defined))


def takes_nothing(value: Any) -> bool:
    """Whether a caller gives it nothing that could be wrong."""
    interface = getattr(value, "_is_protocol", False)
    return interface or is_handed_out(value) or not inspect.signature(value).parameters


def is_handed_out(value: Any) -> bool:
    """A record or a warning: the library makes it, its users read it."""
    return dataclasses.is_dataclass(value) or (inspect.isclass(value) and issubclass(value, Warning))


def missing(check: str, docstrings: dict[str, str]) -> set[str]:
    """Who of those whom it concerns has not what a check asks for."""
    asks, rooms = CHECKS[check]
    return {name for name, text in docstrings.items() if kind(name) in rooms and not asks(text)}


def kind(name: str) -> str:
    """The room of a name; a warning is no mathematics of the room that gives it."""
    if name in OF_THE_REGISTRY:
        return REGISTRY
    return MESSAGES if name.endswith("Warning") else name.split(".")[0]
