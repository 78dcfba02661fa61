"""When a training ends, and how far it is until then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What ends a training: a number of steps, a time, validations in a row that were no better; None for no limit.

    Example:
        >>> limits = Limits(steps=10, seconds=None, patience=3)
        >>> limits.share_done(step=5, seconds=0.1), limits.reason(step=5, seconds=0.1, stale=3)
        (0.5, 'patience')
    """

    steps: int | None
    seconds: float | None
    patience: int | None

    def share_done(self, step: int, seconds: float) -> float:
        """How far the training is to the nearer of its ends by steps and by time, from 0 to 1."""
        by_time = 0.0 if self.seconds is None else seconds / self.seconds
        by_step = 0.0 if self.steps is None else step / self.steps
        return min(1.0, max(by_time, by_step))

    def reason(self, step: int, seconds: float, stale: int) -> str | None:
        """Why the training is to stop now, or None."""
        if self.steps is not None and step >= self.steps:
            return "steps"
        if self.seconds is not None and seconds >= self.seconds:
            return "time"
        if self.patience is not None and stale >= self.patience:
            return "patience"
        return None
