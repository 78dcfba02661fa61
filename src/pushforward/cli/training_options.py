"""The options of `fit` on the command line, derived from `fit` itself: its signature and what its docstring says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand

from pushforward.cli.signature import Option, options_of
from pushforward.cli.values import is_readable, parse_value, placeholder

_SHORTER = {"learning_rate": "--lr"}
# What the command gives itself.
_OWN = ("out", "resume", "progress", "seed")


def training_options() -> dict[str, Option]:
    """Return those options of `fit` that say how to train, and that text can stand for."""
    from pushforward.training import fit

    return {
        name: option
        for name, option in options_of(fit).items()
        if option.keyword_only and name not in _OWN and is_readable(option.annotation)
    }


def parse_training(training: Mapping[str, Any]) -> dict[str, Any]:
    """Read the options that were given as values of the types that `fit` takes.

    Raises:
        UsageError: one is of another type or outside its range.
    """
    options = training_options()
    given = {
        name: parse_value(_flag(name), value, options[name].annotation) if isinstance(value, str) else value
        for name, value in training.items()
        if value is not None
    }
    _check(given)
    return given


def _check(given: Mapping[str, Any]) -> None:
    """Check what is given as `fit` would, before the data are read, which can take long."""
    from pushforward.training import fit
    from pushforward.training.plan import Plan

    planned = {field.name for field in fields(Plan)} | {"max_time"}
    Plan.of(**{name: given.get(name, option.default) for name, option in options_of(fit).items() if name in planned})


def with_training_options(function: Callable[..., None]) -> type[TyperCommand]:
    """Make the class of a command that calls ``function`` with its own options and, by name, those of `fit`.

    They are read when the command is used, since that takes torch, which the help of all commands must not load.
    """

    @cache
    def complete() -> Any:
        app = typer.Typer(add_completion=False, rich_markup_mode="rich")
        app.command()(_joined(function))
        return typer.main.get_command(app)

    class Complete(TyperCommand):
        def get_params(self, ctx: Any) -> list[Any]:
            return complete().get_params(ctx)

        def invoke(self, ctx: Any) -> Any:
            return complete().invoke(ctx)

    return Complete


def _joined(function: Callable[..., None]) -> Callable[..., None]:
    """The function, with a parameter for each option of `fit` in place of its variable ones."""
    own = [
        parameter
        for parameter in inspect.signature(function, eval_str=True).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]

    def joined(**arguments: Any) -> None:
        function(**arguments)

    signature = inspect.Signature([*own, *map(_parameter, training_options().values())])
    joined.__signature__ = signature  # type: ignore[attr-defined]
    return joined


def _parameter(option: Option) -> inspect.Parameter:
    """An option of `fit` as one of a command: text, which `parse_training` reads, or a switch."""
    flag, switch = _flag(option.name), _is_switch(option.annotation)
    names = [f"{flag}/--no-{flag[2:]}"] if switch else [flag]
    if option.name in _SHORTER:
        names.append(_SHORTER[option.name])
    shown = typer.Option(
        *names,
        help=_help(option),
        metavar=None if switch else placeholder(option.annotation),
        show_default=False,
        rich_help_panel="Training",
    )
    kind = bool if switch else str
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, shown]
    )


def _help(option: Option) -> str:
    """The help with the default of `fit`, which is not the command's: an option that is not given is not recorded."""
    from rich.markup import escape

    if option.default is None:
        return escape(option.help)
    default = ("" if option.default else "no-") + option.name if option.annotation is bool else option.default
    return f"{escape(option.help)} [dim]{escape(f'[default: {default}]')}[/dim]"


def _is_switch(annotation: Any) -> bool:
    """Whether an option is on, off, or left to what is chosen by default."""
    return annotation is bool or bool in get_args(annotation)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
