"""Pushforward: normalizing flows on PyTorch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pushforward.version import __version__ as __version__

if TYPE_CHECKING:
    from pushforward import (
        accuracy,
        codec,
        data,
        diagnostics,
        distributions,
        errors,
        exporting,
        flows,
        inference,
        models,
        networks,
        partitions,
        plots,
        scalar,
        sklearn,
        spaces,
        testing,
        training,
        transforms,
    )
    from pushforward.diagnostics import summary
    from pushforward.exporting import export
    from pushforward.flows import Flow, load, save
    from pushforward.models import build, list_models
    from pushforward.parts import register
    from pushforward.training import evaluate, fit

__all__ = [
    "Flow",
    "accuracy",
    "build",
    "codec",
    "data",
    "diagnostics",
    "distributions",
    "errors",
    "evaluate",
    "export",
    "exporting",
    "fit",
    "flows",
    "inference",
    "list_models",
    "load",
    "models",
    "networks",
    "partitions",
    "plots",
    "register",
    "save",
    "scalar",
    "sklearn",
    "spaces",
    "summary",
    "testing",
    "training",
    "transforms",
]

_HOMES = {
    **dict.fromkeys(("Flow", "load", "save"), "pushforward.flows"),
    **dict.fromkeys(("build", "list_models"), "pushforward.models"),
    "export": "pushforward.exporting",
    "register": "pushforward.parts",
    "summary": "pushforward.diagnostics",
    **dict.fromkeys(("evaluate", "fit"), "pushforward.training"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for at its first use: help need not wait for torch, nor a flow for what draws it."""
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in __all__:
        return importlib.import_module(f"pushforward.{name}")
    raise AttributeError(f"module 'pushforward' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
