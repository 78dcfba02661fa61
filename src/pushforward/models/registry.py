"""Models by name: what there is, what it takes, and building it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from pushforward.errors import PushforwardError, UsageError, first_line
from pushforward.flows.flow import Flow
from pushforward.models.options import check_options, named_options
from pushforward.parts import add_model, model_named, models

Recipe = TypeVar("Recipe", bound=Callable[..., Flow])


def model(name: str, **least: int) -> Callable[[Recipe], Recipe]:
    """Make a recipe, a typed function with plain options that returns a :class:`Flow`, known by ``name``.

    Its options are checked when it is called: their types by the annotations, their least values by their names (one
    vocabulary everywhere) or, where this recipe allows less, by ``least``.

    Raises:
        UsageError: the name is taken.

    Example:
        >>> @model("planar")
        ... def flat(features: int = 2) -> Flow: ...
        Traceback (most recent call last):
            ...
        pushforward.errors.UsageError: register expects a new name, got 'planar', which is taken: choose another
    """

    def add(recipe: Recipe) -> Recipe:
        return add_model(name, _checked(name, recipe, least))  # type: ignore[return-value]

    return add


def checked(recipe: Recipe) -> Recipe:
    """Check the options of a function that makes flows of parts, which have no name that a file could hold, as a
    model's are."""
    return _checked(recipe.__name__, recipe, {})


def list_models() -> dict[str, str]:
    """Return the names of all models with the first line of what each says of itself.

    Example:
        >>> import pushforward as pf
        >>> pf.list_models()["planar"]
        'Planar flow: expansions and contractions across hyperplanes.'
    """
    return {name: (inspect.getdoc(recipe) or "").split("\n")[0] for name, recipe in models().items()}


def recipe_options(name: str) -> dict[str, inspect.Parameter]:
    """Return the options that the model ``name`` takes.

    Raises:
        UsageError: there is no such model.

    Example:
        >>> import pushforward as pf
        >>> list(recipe_options("planar"))
        ['features', 'context', 'embedding', 'layers', 'hidden']
    """
    return dict(inspect.signature(model_named(name)).parameters)


def build(name: str, **options: Any) -> Flow:
    """Build the flow of a model by its name; ``build("nsf", features=3)`` is ``pf.models.nsf(features=3)``.

    Raises:
        UsageError: if the name is unknown, an option is unknown or missing, or a value does not fit.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.build("realnvp", features=2, layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    recipe = model_named(name)
    named_options(name, recipe, (), options)
    return recipe(**options)


def _checked(name: str, recipe: Recipe, least: dict[str, int]) -> Recipe:
    @functools.wraps(recipe)
    def checked(*arguments: Any, **options: Any) -> Flow:
        given = named_options(name, recipe, arguments, options)
        check_options(name, recipe, given, least)
        try:
            return recipe(*arguments, **options)
        except (TypeError, ValueError, RuntimeError, IndexError, ZeroDivisionError) as error:
            if isinstance(error, PushforwardError):
                raise
            shown = ", ".join(
                f"{key}={type(value).__name__ if isinstance(value, nn.Module) else repr(value)}"
                for key, value in given.items()
            )
            raise UsageError(f"{name} cannot be built from {shown}: {first_line(error)}") from error

    return checked  # type: ignore[return-value]
