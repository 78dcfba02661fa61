"""Seeds of random numbers: whole numbers that PyTorch and NumPy alike take."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from pushforward.errors import UsageError

LARGEST_SEED = 2**32 - 1


def check_seed(name: str, seed: Any) -> int:
    """The seed as a plain whole number, from 0 to ``2^32 - 1``.

    Args:
        name: of the argument, for the error.
        seed: as it was given.

    Raises:
        UsageError: it is none.

    Example:
        >>> check_seed("seed", 7)
        7
        >>> check_seed("seed", -1)
        Traceback (most recent call last):
        pushforward.errors.UsageError: seed expects a whole number from 0 to 4294967295, got -1
    """
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not whole or not 0 <= int(seed) <= LARGEST_SEED:
        raise UsageError(f"{name} expects a whole number from 0 to {LARGEST_SEED}, got {seed!r}")
    return int(seed)
