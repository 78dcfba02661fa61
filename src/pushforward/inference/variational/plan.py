"""How long and how finely a flow is fitted to a density."""

from __future__ import annotations

from dataclasses import dataclass

from pushforward.errors import UsageError
from pushforward.scalar.arguments import check_counts, check_positive, check_weights
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
        check_counts("fit_posterior", steps=self.limits.steps)
        check_counts("fit_posterior", least=2, batch_size=self.batch_size)
        check_positive("fit_posterior", learning_rate=self.learning_rate)
        if self.limits.seconds is not None:
            check_positive("fit_posterior", max_time=self.limits.seconds)
        check_weights("fit_posterior", annealing=self.annealing)
        if self.annealing > 1:
            raise UsageError(f"annealing expects a share from 0 to 1, got {self.annealing!r}")

    def inverse_temperature(self, progress: float) -> float:
        """What ``log f`` is multiplied by, when this share of the fit is done."""
        if progress >= self.annealing:
            return 1.0
        return COLDEST + (1 - COLDEST) * progress / self.annealing
