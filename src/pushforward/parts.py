"""Parts: objects that remember the arguments they were made with, and the names under which files know them.

A flow is a composition of parts, so whoever knows each part's arguments can show the flow, write it down and make it
again. Every class whose metaclass is :class:`PartMeta` (all public transforms, scalar bijections, networks,
distributions and spaces) remembers; a class of one's own does so by deriving from one of them, or by
:func:`register`, which also lets files name it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from abc import ABCMeta
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from pushforward.copies import own_copy
from pushforward.errors import UsageError

Class = TypeVar("Class", bound=type)

_MEMORY = "_made_with"
# Whose modules enter names when they are imported, and which a file may name before anyone has imported them.
_ROOMS = ("data", "distributions", "flows", "inference", "networks", "scalar", "spaces", "transforms")
_by_name: dict[str, Callable[..., Any]] = {}
_models: dict[str, Callable[..., Any]] = {}
_names: dict[Any, str] = {}


def _enter(name: str, maker: Any) -> None:
    before = _by_name.get(name)
    # A class defined again (a notebook's cell, a doctest, a reload) takes the place of its older self.
    if before is not None and (before.__module__, before.__qualname__) != (maker.__module__, maker.__qualname__):
        raise UsageError(f"register expects a new name, got {name!r}, which {before.__qualname__} has: choose another")
    _by_name[name] = maker
    _names[maker] = name


class PartMeta(ABCMeta):
    """Keeps what the outermost constructor was called with."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, namespace, **options)
        room = cls.__module__.split(".")
        if room[0] == "pushforward" and len(room) > 1 and not name.startswith("_") and "<" not in cls.__qualname__:
            _enter(f"{room[1]}.{name}", cls)

    @property
    def __signature__(cls) -> inspect.Signature:
        # What editors and help() show: the constructor's, not that of the call below.
        if cls.__init__ is object.__init__:  # type: ignore[misc]
            return inspect.Signature()
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        arguments, named = own_copy(arguments), own_copy(named)
        memory = own_copy(arguments), own_copy(named)
        part = super().__call__(*arguments, **named)
        if hasattr(part, "check_made"):
            part.check_made()
        remember(part, *memory)
        return part


class Part(metaclass=PartMeta):
    """A part that is no module, such as a scalar bijection: it shows the arguments it was made with."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({describe_arguments(self)})"


class ModulePart(nn.Module, metaclass=PartMeta):
    """A part that is a module: a network, a transform, a distribution."""

    def extra_repr(self) -> str:
        return describe_arguments(self)


def remember(part: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Keep the arguments with the part, where it is neither a parameter nor a buffer."""
    object.__setattr__(part, _MEMORY, (arguments, named))


def remembers(part: Any) -> bool:
    """Whether the part was made by a constructor that keeps its arguments."""
    return _MEMORY in getattr(part, "__dict__", {})


def arguments_of(part: Any) -> dict[str, Any]:
    """Return the arguments that a part was made with, by name; those left at their defaults are not among them.

    Example:
        >>> import pushforward as pf
        >>> arguments_of(pf.scalar.RationalQuadraticSpline(4, bound=2.0))
        {'bins': 4, 'bound': 2.0}
    """
    if not remembers(part):
        raise UsageError(
            f"{type(part).__name__} does not remember the arguments it was made with: derive it from a class of "
            f"pushforward, or decorate it with pushforward.register"
        )
    arguments, named = part.__dict__[_MEMORY]
    bound = inspect.signature(type(part)).bind(*arguments, **named)
    flat: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        many = bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        flat |= value if many else {name: value}
    return flat


def make(maker: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a class or function with arguments by name, those of ``*many`` among them.

    Example:
        >>> make(dict, {"a": 1})
        {'a': 1}
    """
    many = _many(maker)
    if many is None:
        return maker(**arguments)
    return maker(*arguments.get(many, ()), **{name: value for name, value in arguments.items() if name != many})


def describe_arguments(part: Any) -> str:
    """Return the arguments as one would write them, without those that are modules or tensors of any size."""
    if not remembers(part):
        return ""
    many = _many(type(part))
    shown = []
    for name, value in arguments_of(part).items():
        if name == many:
            shown += [text for each in value if (text := _short(each)) is not None]
        elif (text := _short(value)) is not None:
            shown.append(f"{name}={text}")
    return ", ".join(shown)


def register(name: str | Class, /) -> Any:
    """Let model files name a class of one's own (a scalar bijection, a transform, a network, ...) or a model recipe.

    Use it as a decorator, ``@register`` or ``@register("name")``. A class that is not derived from one of Pushforward's
    then remembers its arguments too. A function registered by a name is a model: ``build(name)`` calls it. The
    arguments must be numbers, strings, lists, tensors or parts, since a file holds them.

    Raises:
        UsageError: if the name is taken by something else.

    Example:
        >>> import torch
        >>> @register("doctest-network")
        ... class Doubling(torch.nn.Module):
        ...     def __init__(self, features: int) -> None:
        ...         super().__init__()
        >>> arguments_of(Doubling(3))
        {'features': 3}
    """
    if not isinstance(name, str):
        return register(f"{name.__module__}.{name.__qualname__}")(name)

    def add(maker: Any) -> Any:
        if isinstance(maker, type):
            if not isinstance(maker, PartMeta):
                _make_remember(maker)
            _enter(name, maker)
            return maker
        return add_model(name, maker)

    return add


def add_model(name: str, recipe: Callable[..., Any]) -> Callable[..., Any]:
    """Make a recipe, a function that returns a flow, known by a name, and let its flows remember it.

    Raises:
        UsageError: if the name is taken.
    """
    before = _models.get(name)
    if before is not None and before.__module__ != recipe.__module__:
        raise UsageError(f"register expects a new name, got {name!r}, which is taken: choose another")

    @functools.wraps(recipe)
    def build(*arguments: Any, **options: Any) -> Any:
        kept, named = own_copy(arguments), own_copy(options)
        flow = recipe(*arguments, **options)
        # Bound behind the recipe's own checks, which say better what is wrong.
        flow.recipe = {"model": name, **inspect.signature(recipe).bind(*kept, **named).arguments}
        return flow

    _models[name] = build
    return build


def models() -> dict[str, Callable[..., Any]]:
    """Return all recipes by name."""
    return dict(sorted(_models.items()))


def model_named(name: str) -> Callable[..., Any]:
    """Return the recipe of a name.

    Raises:
        UsageError: if there is none.
    """
    if name not in _models:
        importlib.import_module("pushforward.models")
    if name not in _models:
        raise UsageError(f"unknown model {name!r}: the models are {', '.join(sorted(_models))}")
    return _models[name]


def name_of(maker: Any) -> str | None:
    """Return the name under which files know a class, None where they do not."""
    return _names.get(maker)


def named(name: str) -> Callable[..., Any] | None:
    """Return what files know by this name, None where there is nothing."""
    room = name.partition(".")[0]
    if name not in _by_name and room in _ROOMS:
        importlib.import_module(f"pushforward.{room}")
    return _by_name.get(name)


def _many(maker: Callable[..., Any]) -> str | None:
    """The name of ``*many`` arguments, None where there are none."""
    try:
        parameters = inspect.signature(maker).parameters.values()
    except ValueError:
        return None
    return next((each.name for each in parameters if each.kind is inspect.Parameter.VAR_POSITIONAL), None)


def _make_remember(cls: type) -> None:
    original = cls.__init__  # type: ignore[misc]

    @functools.wraps(original)
    def remembering(self: Any, *arguments: Any, **named: Any) -> None:
        arguments, named = own_copy(arguments), own_copy(named)
        memory = own_copy(arguments), own_copy(named)
        original(self, *arguments, **named)
        if type(self) is cls:
            remember(self, *memory)

    cls.__init__ = remembering  # type: ignore[misc]


def _short(value: Any) -> str | None:
    if isinstance(value, nn.Module):
        return None
    if isinstance(value, torch.Tensor):
        return str(value.tolist()) if value.numel() <= 8 else f"<{tuple(value.shape)}>"
    if isinstance(value, torch.Size):
        return str(tuple(value))
    if isinstance(value, functools.partial):
        options = ", ".join(f"{name}={_short(each)}" for name, each in value.keywords.items())
        return f"partial({getattr(value.func, '__name__', value.func)}, {options})"
    if isinstance(value, (list, tuple)):
        texts = [_short(each) for each in value]
        if any(text is None for text in texts):
            return None
        inner = ", ".join(str(text) for text in texts)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    return value.__name__ if isinstance(value, type) else repr(value)
