"""How long and how finely a flow is fitted to a density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from pushforward.errors import UsageError
from pushforward.training.stopping import Limits

COLDEST = 0.01
"""The inverse temperature at which annealing starts."""


@dataclass(frozen=True)
class Plan:
    """How a flow is fitted.

    Attributes:
        limits: what ends the fit.
        batch_size: samples in each step.
        learning_rate: at the start.
        annealing: the share of the steps in which the inverse temperature rises.

    Raises:
        UsageError: if one is out of range.

    Example:
        >>> plan = Plan(Limits(steps=10, seconds=None, patience=None), 256, 1e-2, annealing=0.5)
        >>> plan.inverse_temperature(0.0), plan.inverse_temperature(0.25), plan.inverse_temperature(0.75)
        (0.01, 0.505, 1.0)
    """

    limits: Limits
    batch_size: int
    learning_rate: float
    annealing: float

    def __post_init__(self) -> None:
        seconds, rate, share = self.limits.seconds, self.learning_rate, self.annealing
        checks = [
            ("steps", self.limits.steps, "a whole number of at least 1", whole(self.limits.steps, 1)),
            ("max_time", seconds, "a number of seconds above 0", seconds is None or (_real(seconds) and seconds > 0)),
            ("batch_size", self.batch_size, "a whole number of at least 2", whole(self.batch_size, 2)),
            ("learning_rate", rate, "a number above 0", _real(rate) and 0 < rate < math.inf),
            ("annealing", share, "a share from 0 to 1", _real(share) and 0 <= share <= 1),
        ]
        for name, value, expected, right in checks:
            if not right:
                raise UsageError(f"{name} expects {expected}, got {value!r}")

    def inverse_temperature(self, progress: float) -> float:
        """What ``log f`` is multiplied by, when this share of the fit is done."""
        if progress >= self.annealing:
            return 1.0
        return COLDEST + (1 - COLDEST) * progress / self.annealing


def whole(value: Any, least: int) -> bool:
    """Whether this is a whole number of at least ``least``."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
