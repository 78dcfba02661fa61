"""Which named recipe models a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.distributions import StandardNormal
from pushforward.errors import PushforwardError, UsageError
from pushforward.flows import Flow
from pushforward.models import build, list_models, recipe_options
from pushforward.tables.sizes import Size

OF_THE_DATA = ("indices",)
"""Options that say something of the data's own columns, which a recipe in a table does not see."""


def check_recipe(model: str, model_options: Mapping[str, Any] | None, conditional: bool) -> None:
    """Check that a recipe takes what a table gives, before any work.

    Raises:
        UsageError: if it is none of vectors, takes no context where one is needed, or has no such option.
    """
    known = recipe_options(model)
    needed = ("features", "context") if conditional else ("features",)
    lacking = [option for option in needed if option not in known]
    if lacking:
        raise _misfit(model, f"takes no {lacking[0]}", conditional)
    if not isinstance(model_options or {}, Mapping):
        raise UsageError(f"model_options expects a mapping of options, got {model_options!r}")
    for option in model_options or {}:
        if option in ("features", "context"):
            raise UsageError(f"model_options cannot set {option!r}: the columns of the table do")
        if option in OF_THE_DATA:
            raise UsageError(
                f"model_options cannot set {option!r}: a table's columns are brought to normal numbers, tails and all, "
                f"before {model} sees them; a belief in their tails is for {model} on an array of numbers"
            )
        if option not in known:
            # Only what has a context can embed it.
            taken = ("features", "context") if conditional else ("features", "context", "embedding")
            free = ", ".join(key for key in known if key not in taken)
            raise UsageError(f"model_options: {model} has no option {option!r}; it takes {free}")


def build_flow(model: str, model_options: Mapping[str, Any] | None, size: Size, features: int, context: int) -> Flow:
    """Build the flow of a recipe over rows of ``features`` numbers given ``context`` numbers.

    Raises:
        UsageError: if its latents are not standard normal, its events no real numbers, or an option does not fit.
    """
    known = recipe_options(model)
    sized: dict[str, Any] = {"layers": size.layers} if "layers" in known else {}
    # A single width is a recipe's own: a transformer's is a multiple of its heads.
    if "hidden" in known and not isinstance(known["hidden"].default, int):
        sized["hidden"] = size.hidden
    given = {"features": features} | ({"context": context} if context else {})
    try:
        flow = build(model, **given | sized | dict(model_options or {}))
    except UsageError as error:
        if suits(model, context > 0):
            raise
        raise _misfit(model, f"does not model {features} columns ({error})", context > 0) from error
    if not models_rows(flow, features):
        raise _misfit(model, f"has the base {type(flow.base).__name__} on {_events(flow)}", context > 0)
    return flow


def models_rows(flow: Flow, features: int) -> bool:
    """Whether the flow takes rows of real numbers to standard normal latents, as many of them."""
    shapes = {tuple(flow.event_shape), tuple(flow.base.event_shape)}
    return isinstance(flow.base, StandardNormal) and shapes == {(features,)} and flow.levels is None


def suitable_models(conditional: bool) -> list[str]:
    """Return the names of the recipes that model tables, of any number of columns."""
    return [name for name in list_models() if suits(name, conditional)]


def suits(model: str, conditional: bool) -> bool:
    """Whether a recipe models tables, of any number of columns."""
    options = recipe_options(model)
    if "features" not in options or (conditional and "context" not in options):
        return False
    try:
        return models_rows(build(model, features=3, **({"context": 1} if conditional else {})), 3)
    except PushforwardError:
        return False


def _misfit(model: str, reason: str, conditional: bool) -> UsageError:
    return UsageError(
        f"model expects a recipe of vectors with a standard normal base, {model!r} {reason}: choose one of "
        f"{', '.join(suitable_models(conditional))}"
    )


def _events(flow: Flow) -> str:
    return f"events {tuple(flow.event_shape)}" + ("" if flow.levels is None else f" of {flow.levels} levels")
