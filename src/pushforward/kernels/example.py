"""A module's own kind of number, found without walking all of it."""

from __future__ import annotations

from torch import Tensor, nn


def example_of(module: nn.Module) -> Tensor | None:
    """Return a parameter of floating-point numbers, or else such a buffer, None where there is neither: what
    ``next(module.parameters())`` gives, a tenth of whose time it takes for a deep module.

    Example:
        >>> example_of(nn.Sequential(nn.ReLU(), nn.Linear(2, 3))).shape
        torch.Size([3, 2])
    """
    found = _first(module, "_parameters")
    return _first(module, "_buffers") if found is None else found


def _first(module: nn.Module, kind: str) -> Tensor | None:
    for values in module.__dict__[kind].values():
        if values is not None and values.is_floating_point():
            return values
    for child in module.__dict__["_modules"].values():
        found = None if child is None else _first(child, kind)
        if found is not None:
            return found
    return None
