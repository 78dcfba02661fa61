"""What a function that takes a flow says when it is given something else."""

from __future__ import annotations

import inspect
from typing import Any

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError


def require_flow(owner: str, value: Any) -> None:
    """Check the first argument of a function that takes a flow.

    Raises:
        UsageError: if it is none.

    Example:
        >>> require_flow("fit", "flow.safetensors")
        Traceback (most recent call last):
        pushforward.errors.UsageError: fit expects a flow as its first argument, got 'flow.safetensors'
    """
    if isinstance(value, Distribution):
        return
    if inspect.isroutine(value) or inspect.isclass(value):
        got = f"{value.__name__}, which makes one: call it with its options"
    elif isinstance(value, str):
        got = repr(value)
    else:
        got = f"a value of type {type(value).__name__}"
    raise UsageError(f"{owner} expects a flow as its first argument, got {got}")
