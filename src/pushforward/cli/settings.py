"""The options of a model on the command line: ``--set KEY=VALUE``."""

from __future__ import annotations

from typing import Any

from pushforward.cli.signature import Option, options_of
from pushforward.cli.values import parse_value, placeholder
from pushforward.errors import UsageError
from pushforward.parts import model_named


def model_options(model: str) -> dict[str, Option]:
    """Return the options of a model that can be written on a command line.

    Raises:
        UsageError: there is no model of that name.
    """
    options = options_of(model_named(model))
    # No text stands for a network of the user's.
    return {name: option for name, option in options.items() if placeholder(option.annotation)}


def parse_settings(model: str, settings: list[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` settings as options of a model.

    Raises:
        UsageError: one is not written so, names no option of the model, or is of another type than the option.

    Example:
        >>> parse_settings("nsf", ["hidden=64,64", "bound=3"])
        {'hidden': [64, 64], 'bound': 3.0}
    """
    known = model_options(model)
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not key or not equals:
            raise UsageError(f"--set takes KEY=VALUE, got {setting or 'nothing'}")
        if key not in known:
            raise UsageError(f"{model} has no option {key}: it takes {', '.join(known)}")
        values[key] = parse_value(f"--set {key}", text, known[key].annotation)
    return values
