"""Values as text: what the user wrote on the command line, read as the type that an option takes."""

from __future__ import annotations

import inspect
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NewType, Union

from pushforward.errors import UsageError

Extended = NewType("Extended", float)
"""A number of a list, which may be infinite."""
_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    Extended: "a number",
    str: "text",
    bool: "true or false",
}
_PLURALS = {int: "whole numbers", float: "numbers", str: "texts", bool: "true or false"}
_PLACEHOLDERS = {int: "INTEGER", float: "NUMBER", str: "TEXT", bool: "true|false"}


def parse_value(name: str, text: str, annotation: Any) -> Any:
    """Read ``text`` as a value of the type that the option ``name`` is annotated with.

    Numbers, ``true`` and ``false``, ``none``, and text stand as they are; the elements of a list stand between commas,
    ``inf`` among numbers, or in JSON where lists are nested. Without an annotation any JSON value, list or text is
    taken.

    Raises:
        UsageError: it is no such value.

    Example:
        >>> parse_value("--set hidden", "64,64", int | Sequence[int])
        [64, 64]
        >>> parse_value("--set indices", "1.5,inf", Sequence[float])
        [1.5, inf]
        >>> parse_value("--set layers", "2.5", int)
        Traceback (most recent call last):
        pushforward.errors.UsageError: --set layers expects a whole number, got 2.5
    """
    for member in _most_telling_first(annotation):
        try:
            return _read(text, member)
        except (ValueError, KeyError):
            continue
    raise UsageError(f"{name} expects {expectation(annotation)}, got {text or 'nothing'}")


def expectation(annotation: Any) -> str:
    """Say what values an annotation takes, in words.

    Example:
        >>> expectation(int | Sequence[int] | None)
        'a whole number or a list of whole numbers or none'
    """
    words = [_words(member) for member in _members(annotation) if is_readable(member)]
    return " or ".join(words) or "what cannot be written on a command line"


def placeholder(annotation: Any) -> str:
    """Return what stands for a value of this annotation in a help text.

    Example:
        >>> placeholder(int | Sequence[int] | None)
        'INTEGER|LIST'
    """
    kinds = [member for member in _members(annotation) if is_readable(member) and member is not type(None)]
    names = [_PLACEHOLDERS.get(kind, "LIST" if _is_list(kind) else "VALUE") for kind in kinds]
    return "|".join(dict.fromkeys(names))


def is_readable(annotation: Any) -> bool:
    """Whether text can stand for a value of this annotation.

    Example:
        >>> is_readable(float | None), is_readable(Sequence[int]), is_readable(types.FunctionType)
        (True, True, False)
    """
    return any(
        _is_anything(member)
        or member in (*_WORDS, type(None))
        or _is_object(member)
        or typing.get_origin(member) is Literal
        or (_is_list(member) and all(map(is_readable, _items(member))))
        for member in _members(annotation)
    )


def _read(text: str, kind: Any) -> Any:
    """Read text as one plain type; a ValueError or KeyError says that it is none."""
    if _is_anything(kind):
        return _read_anything(text)
    if kind is type(None):
        return {"none": None, "null": None}[text.lower()]
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    if kind is int:
        return int(text)
    if kind is float:
        return _finite(float(text))
    if kind is Extended:
        return _known(float(text))
    if kind is str:
        return text
    if typing.get_origin(kind) is Literal:
        return {str(choice): choice for choice in typing.get_args(kind)}[text]
    if _is_object(kind):
        return _read_object(text)
    if _is_list(kind):
        return _read_list(text, _items(kind))
    raise ValueError(f"no text stands for {kind}")


def _read_list(text: str, items: Sequence[Any]) -> list[Any]:
    if text.startswith("["):
        elements = [element if isinstance(element, str) else json.dumps(element) for element in json.loads(text)]
    elif "," in text:
        elements = [element.strip() for element in text.removesuffix(",").split(",")]
    else:
        raise ValueError("a single value is no list")
    kinds = [Extended if kind is float else kind for kind in (items if len(items) > 1 else [*items] * len(elements))]
    return [parse_value("an element", element, kind) for element, kind in zip(elements, kinds, strict=True)]


def _read_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _read_anything(text: str) -> Any:
    """Read a JSON value, a list of them with commas between, or the text itself."""
    for candidate in (text, f"[{text}]") if "," in text else (text,):
        try:
            return json.loads(candidate)
        except json.JSONDecodeError:
            continue
    return None if text.lower() == "none" else text


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _known(value: float) -> float:
    if math.isnan(value):
        raise ValueError("expected a number")
    return value


def _words(kind: Any) -> str:
    if _is_anything(kind):
        return "a value"
    if kind is type(None):
        return "none"
    if typing.get_origin(kind) is Literal:
        return " or ".join(map(str, typing.get_args(kind)))
    if _is_object(kind):
        return "a JSON object"
    if _is_list(kind):
        items = _items(kind)
        count = f"{len(items)} " if len(items) > 1 else ""
        names = dict.fromkeys(_PLURALS.get(member, "values") for item in items for member in _members(item))
        return f"a list of {count}{' or '.join(names)}"
    return _WORDS[kind]


def _members(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if typing.get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _most_telling_first(annotation: Any) -> Iterable[Any]:
    """The members of a union, those last that any text fits."""
    return sorted(_members(annotation), key=lambda kind: 2 if _is_anything(kind) else int(kind is str))


def _is_anything(kind: Any) -> bool:
    return kind is Any or kind is inspect.Parameter.empty


def _is_object(kind: Any) -> bool:
    return (typing.get_origin(kind) or kind) in (dict, Mapping)


def _is_list(kind: Any) -> bool:
    return (typing.get_origin(kind) or kind) in (list, tuple, Sequence, Iterable)


def _items(kind: Any) -> tuple[Any, ...]:
    """The types of a list's elements: one for all of them, or one for each."""
    return tuple(item for item in typing.get_args(kind) if item is not Ellipsis) or (Any,)
