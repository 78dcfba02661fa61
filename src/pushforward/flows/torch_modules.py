"""The arguments that modules of ``torch.nn`` were made with."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any

from torch import nn

from pushforward.errors import UsageError


def module_arguments(module: nn.Module) -> dict[str, Any]:
    """Return the arguments of a module of ``torch.nn``, which keeps most of them under their own names.

    What it does not keep is left at its default: whoever uses them checks that the module they make is the same.

    Raises:
        UsageError: if it does not keep one that has no default.

    Example:
        >>> module_arguments(nn.Softplus(2.0))
        {'beta': 2.0, 'threshold': 20.0}
    """
    if isinstance(module, nn.Sequential):
        children = _children(module)
        numbered = list(children) == [str(i) for i in range(len(children))]
        return {"args": tuple(module) if numbered else (children,)}
    if isinstance(module, nn.ModuleList):
        return {"modules": list(module)}
    if isinstance(module, nn.ModuleDict):
        return {"modules": dict(module)}
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if name in ("self", "device", "dtype") or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name not in module.__dict__ and not hasattr(module, name):
            if parameter.default is parameter.empty:
                raise UsageError(
                    f"{type(module).__name__} does not keep its argument {name!r}: decorate a class of your own that "
                    f"makes it with pushforward.register"
                )
            continue
        value = getattr(module, name)
        arguments[name] = value is not None if name == "bias" else value
    return arguments


def _children(module: nn.Sequential) -> OrderedDict[str, nn.Module]:
    # Not named_children(), which gives a module that stands in several places once.
    every = module.named_modules(remove_duplicate=False)
    return OrderedDict((name, child) for name, child in every if name and "." not in name)
