"""The options of a function, as its signature and its docstring tell them.

The command line takes the options of `fit` and of the models from here, so that each is written down once: where it is
used and documented.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_ENTRY = re.compile(r"(\w+(?:, \w+)*): (.*)")


@dataclass(frozen=True)
class Option:
    """One option of a function.

    Attributes:
        name: the parameter's name.
        annotation: its type; ``Any`` where it has none that could be found.
        default: its default, or ``inspect.Parameter.empty``.
        help: what the docstring says of it, one sentence or none.
        keyword_only: whether it can only be given by name.
    """

    name: str
    annotation: Any
    default: Any
    help: str
    keyword_only: bool

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """Return the options of a function by name, in its order.

    Example:
        >>> def dig(depth: float, width: int = 2) -> None:
        ...     '''Dig a hole.
        ...
        ...     Args:
        ...         depth: how deep, in
        ...             metres.
        ...     '''
        >>> options = options_of(dig)
        >>> options["depth"].help, options["width"].annotation, options["width"].default
        ('How deep, in metres.', <class 'int'>, 2)
    """
    helps = _helps(inspect.getdoc(function) or "")
    names = getattr(inspect.unwrap(function), "__globals__", {})
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: Option(
            name,
            _resolve(parameter.annotation, names),
            parameter.default,
            helps.get(name, ""),
            parameter.kind is parameter.KEYWORD_ONLY,
        )
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in variadic
    }


def section(function: Callable[..., Any], title: str) -> str:
    """What a function's docstring says behind ``title:``, in one line; empty where it has no such section.

    Example:
        >>> def dig() -> None:
        ...     '''Dig a hole.
        ...
        ...     Source: a sexton
        ...     of Elsinore.
        ...     '''
        >>> section(dig, "Source")
        'a sexton of Elsinore.'
    """
    _, _, behind = (inspect.getdoc(function) or "").partition(f"\n{title}:")
    return " ".join(behind.split("\n\n")[0].split())


def _resolve(annotation: Any, names: dict[str, Any]) -> Any:
    """The type behind an annotation, which may be text and name what is only imported for type checkers."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)
    except Exception:
        return Any


def _helps(docstring: str) -> dict[str, str]:
    """What the section ``Args:`` says of each name; several that are told together share the text."""
    return {name: _sentence(text) for heading, text in _entries(docstring) for name in heading.split(", ")}


def _entries(docstring: str) -> Iterator[tuple[str, str]]:
    _, _, section = docstring.partition("\nArgs:\n")
    # The section ends where a line stands at the margin again.
    lines = re.split(r"\n(?=\S)", section)[0].splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    for entry in re.split(r"\n(?=\S)", "\n".join(line[margin:] for line in lines)):
        found = _ENTRY.match(" ".join(entry.split()))
        if found:
            yield found[1], found[2]


def _sentence(text: str) -> str:
    plain = text.replace("`", "")
    return plain[:1].upper() + plain[1:]
