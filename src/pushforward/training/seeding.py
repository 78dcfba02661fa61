"""The seed of a training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from pushforward.seeds import check_seed

P = ParamSpec("P")
R = TypeVar("R")


def apart(training: Callable[P, R]) -> Callable[P, R]:
    """Let a training with a ``seed`` (or one that goes on with its own) leave the global random state as it was.

    What is drawn after ``fit(..., seed=0)`` would otherwise be what was drawn after ``torch.manual_seed(0)`` before it:
    a test set equal to the training set.

    Example:
        >>> train = apart(lambda *, seed=None: torch.manual_seed(seed))
        >>> _ = torch.manual_seed(0)
        >>> before = torch.rand(())
        >>> train(seed=0).initial_seed()
        0
        >>> bool(torch.rand(()) == before)
        False
    """

    @functools.wraps(training)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        if named.get("seed") is None and not named.get("resume"):
            return training(*arguments, **named)
        # A seed is set on all devices, and on those that are not in use yet as soon as they are.
        began, before = torch.cuda.is_initialized(), torch.initial_seed()
        try:
            with torch.random.fork_rng(range(torch.cuda.device_count()) if began else []):
                return training(*arguments, **named)
        finally:
            if not began:
                torch.cuda.manual_seed_all(before)

    return call


def seeded(seed: int | None) -> int:
    """Set the global random state by a seed and return it; None leaves the state to go on, and draws a seed from it.

    Example:
        >>> seeded(7), int(torch.initial_seed())
        (7, 7)
    """
    if seed is None:
        return int(torch.randint(2**31, ()))
    seed = check_seed("seed", seed)
    torch.manual_seed(seed)
    return seed
