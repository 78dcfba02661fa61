"""The options of models: one vocabulary, and what each word allows."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from torch import Tensor, nn

from pushforward.errors import UsageError

LEAST = {
    "features": 1,
    "layers": 1,
    "hidden": 1,
    "coupling_hidden": 1,
    "last_hidden": 1,
    "blocks": 1,
    "scales": 1,
    "levels": 2,
    "classes": 2,
    "bins": 2,
    "components": 1,
    "units": 1,
    "latents": 1,
    "dimensions": 1,
    "groups": 1,
    "last_groups": 1,
    "smallest": 1,
    "shape": 1,
    "bound": 1e-3,
    "shift_unit": 1e-3,
    "dropout": 0,
    "tolerance": 1e-12,
    "steps": 1,
    "leaps": 1,
    "heads": 1,
    "patch": 1,
    "noise": 0,
    "unconditional": 0,
    "persistence": 0,
}
"""The least value of what an option counts or measures."""


def named_options(
    owner: str, recipe: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a recipe is called with by the names of its parameters.

    Raises:
        UsageError: for an option that the recipe does not have, one that it is given twice, or one that is missing.

    Example:
        >>> def recipe(features: int, layers: int = 2) -> None: ...
        >>> named_options("recipe", recipe, [3], {"layer": 2})
        Traceback (most recent call last):
        pushforward.errors.UsageError: recipe has no option layer: it takes features, layers
    """
    signature = inspect.signature(recipe)
    known = signature.parameters
    free = any(option.kind is option.VAR_KEYWORD for option in known.values())
    unknown = [] if free else sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"{owner} has no option {', '.join(unknown)}: it takes {', '.join(known)}")
    try:
        given = signature.bind_partial(*arguments, **options).arguments
    except TypeError as error:
        raise UsageError(f"{owner} takes {', '.join(known)}, each once: {error}") from None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [key for key, each in known.items() if each.default is each.empty and each.kind not in variadic]
    missing = [key for key in required if key not in given]
    if missing:
        raise UsageError(f"{owner} needs {', '.join(missing)}: pass {missing[0]}=")
    return given


def check_options(owner: str, recipe: Callable[..., Any], options: Mapping[str, Any], least: Mapping[str, int]) -> None:
    """Check options against a recipe's annotations and the least values of their names.

    Raises:
        UsageError: for a value of the wrong type or below the least.

    Example:
        >>> def recipe(layers: int = 2) -> None: ...
        >>> check_options("recipe", recipe, {"layers": 2.5}, {})
        Traceback (most recent call last):
        pushforward.errors.UsageError: recipe expects a whole number as layers, got layers=2.5
    """
    kinds = _annotations(recipe)
    for name, value in options.items():
        _check_kind(owner, name, value, kinds.get(name, Any))
        lowest = least.get(name, LEAST.get(name))
        if lowest is None or value is None:
            continue
        values = value if isinstance(value, Sequence) else [value]
        if any(each < lowest for each in values):
            raise UsageError(f"{owner} expects {name} of at least {lowest}, got {name}={value!r}")


def _annotations(recipe: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(recipe)
    except NameError:
        # Names that are imported for type checkers alone.
        return {}


def _check_kind(owner: str, name: str, value: Any, annotation: Any) -> None:
    """Check a value whose annotation is made of types that are known here; others are seen to where they are used."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    kinds = typing.get_args(annotation) if union else (annotation,)
    if all(kind in _FITS for kind in kinds) and not any(_FITS[kind][1](value) for kind in kinds):
        expected = " or ".join(_FITS[kind][0] for kind in kinds if kind is not type(None))
        raise UsageError(f"{owner} expects {expected} as {name}, got {name}={value!r}")


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_whole, value))


def _numbers(value: Any) -> bool:
    """Of a list or a tensor a number may be infinite, as the tail index of a light tail is."""
    value = value.tolist() if isinstance(value, Tensor) else value
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(_number(each) or _infinite(each) for each in value)
    )


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _infinite(value: Any) -> bool:
    return isinstance(value, Real) and math.isinf(value)


_FITS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    int: ("a whole number", _whole),
    float: ("a number", _number),
    bool: ("True or False", lambda value: isinstance(value, bool)),
    str: ("a text", lambda value: isinstance(value, str)),
    Sequence[int]: ("whole numbers", _whole_numbers),
    Sequence[float]: ("numbers", _numbers),
    nn.Module: ("a module", lambda value: isinstance(value, nn.Module)),
    type(None): ("none", lambda value: value is None),
}
"""What the types of options are called, and what fits them."""
