"""The options of models: one vocabulary, and what each word allows."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from pushforward.errors import UsageError

LEAST = {
    "features": 1,
    "layers": 1,
    "hidden": 1,
    "blocks": 1,
    "scales": 1,
    "levels": 2,
    "classes": 2,
    "bins": 2,
    "components": 1,
    "units": 1,
    "dimensions": 1,
    "groups": 1,
    "heads": 1,
}
"""The least value of what an option counts."""


def check_options(
    owner: str, signature: inspect.Signature, options: Mapping[str, Any], least: Mapping[str, int]
) -> None:
    """Check options against a recipe's annotations and the least values of their names.

    Raises:
        UsageError: for a value of the wrong type or below the least.
    """
    for name, value in options.items():
        kinds = str(signature.parameters[name].annotation).replace(" ", "").split("|")
        if name == "context" or (value is None and "None" in kinds):
            continue
        _check_kind(owner, name, value, kinds)
        lowest = least.get(name, LEAST.get(name))
        if lowest is not None:
            for each in value if isinstance(value, Sequence) else [value]:
                if each < lowest:
                    raise UsageError(f"{owner} expects {name} of at least {lowest}, got {name}={value!r}")


def _check_kind(owner: str, name: str, value: Any, kinds: list[str]) -> None:
    fits = {
        "int": lambda: isinstance(value, Integral) and not isinstance(value, bool),
        "float": lambda: isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value),
        "bool": lambda: isinstance(value, bool),
        "str": lambda: isinstance(value, str),
        "Sequence[int]": lambda: (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and all(isinstance(each, Integral) for each in value)
        ),
    }
    known = [kind for kind in kinds if kind in fits]
    if known and len(known) == len([kind for kind in kinds if kind != "None"]) and not any(fits[k]() for k in known):
        words = {"int": "a whole number", "float": "a number", "bool": "True or False", "str": "a text"}
        expected = " or ".join(words.get(kind, "whole numbers") for kind in known)
        raise UsageError(f"{owner} expects {expected} as {name}, got {name}={value!r}")
