"""Drawing by rejection."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import ConvergenceError

ROUNDS = 10_000
"""Rounds after which nothing is drawn any more: what is accepted in one of a hundred takes a few hundred."""


def accepted(propose: Callable[[], tuple[Tensor, Tensor]]) -> Tensor:
    """Return proposals, each drawn again until it is accepted.

    Args:
        propose: draws ``(batch, ...)`` and which of them are accepted, ``(batch,)``.

    Raises:
        ConvergenceError: if hardly any is.

    Example:
        >>> def propose():
        ...     x = torch.rand(100)
        ...     return x, x > 0.5
        >>> bool((accepted(propose) > 0.5).all())
        True
    """
    found, done = propose()
    for _ in range(ROUNDS):
        if bool(done.all()):
            return found
        again, ok = propose()
        found = torch.where(done.reshape(*done.shape, *[1] * (found.dim() - done.dim())), found, again)
        done = done | ok
    raise ConvergenceError(f"rejection expected proposals that are accepted, and {int((~done).sum())} never were")
