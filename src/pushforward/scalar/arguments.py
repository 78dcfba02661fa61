"""Checks of what constructors are given."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from pushforward.errors import UsageError


def check_positive(owner: str, **numbers: Any) -> None:
    """Raise UsageError unless all of the numbers are positive and finite.

    Example:
        >>> check_positive("LeakyReLU", slope=-1.0)
        Traceback (most recent call last):
        pushforward.errors.UsageError: LeakyReLU expects a positive, finite slope, got slope=-1.0: choose another
    """
    for name, value in numbers.items():
        if not (isinstance(value, Real) and not isinstance(value, bool) and 0.0 < float(value) < math.inf):
            raise UsageError(f"{owner} expects a positive, finite {name}, got {name}={value!r}: choose another")


def check_weights(owner: str, **numbers: Any) -> None:
    """Raise UsageError unless all of the numbers are finite and not negative.

    Example:
        >>> check_weights("ELBO", beta=-1.0)
        Traceback (most recent call last):
        pushforward.errors.UsageError: ELBO expects a finite beta of 0 or more, got beta=-1.0: choose another
    """
    for name, value in numbers.items():
        if not (isinstance(value, Real) and not isinstance(value, bool) and 0.0 <= float(value) < math.inf):
            raise UsageError(f"{owner} expects a finite {name} of 0 or more, got {name}={value!r}: choose another")


def check_counts(owner: str, least: int = 1, **numbers: Any) -> None:
    """Raise UsageError unless all of the numbers are whole and at least ``least``.

    Example:
        >>> check_counts("CubicSpline", least=2, bins=1)
        Traceback (most recent call last):
        pushforward.errors.UsageError: CubicSpline expects a whole number of at least 2 bins, got bins=1: choose another
    """
    for name, value in numbers.items():
        if not (isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least):
            raise UsageError(
                f"{owner} expects a whole number of at least {least} {name}, got {name}={value!r}: choose another"
            )
