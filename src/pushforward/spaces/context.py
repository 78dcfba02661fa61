"""A context, as it is declared."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pushforward.errors import UsageError
from pushforward.spaces.base import Space
from pushforward.spaces.continuous import Reals


def as_context(context: int | Sequence[int] | Space | None) -> Space | None:
    """Return the space of a declared context: a number of features, a shape, a space, or 0 (or None) for none.

    Raises:
        UsageError: for a negative number of features, or something else.

    Example:
        >>> as_context(3), as_context((1, 28, 28)), as_context(0)
        (Reals(shape=(3,)), Reals(shape=(1, 28, 28)), None)
    """
    if context is None or isinstance(context, Space):
        return context
    if isinstance(context, bool):
        raise UsageError(f"context expects a number of features, a shape or a space, got {context}")
    if isinstance(context, int):
        if context < 0:
            raise UsageError(f"context expects a number of features of 0 or more, got {context}")
        return Reals((context,)) if context else None
    try:
        shape = torch.Size(context)
    except TypeError:
        raise UsageError(f"context expects a number of features, a shape or a space, got {context!r}") from None
    if len(shape) == 0 or min(shape) < 1:
        raise UsageError(f"context expects a shape of positive sizes, got {tuple(shape)}")
    return Reals(shape)
