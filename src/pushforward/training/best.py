"""The best validation of a training, and the weights that gave it."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor


class Best:
    """Keeps the weights of the lowest loss, and counts the validations since.

    Example:
        >>> best = Best()
        >>> for loss in (2.0, 1.0, 3.0):
        ...     best.judge(loss, [])
        >>> best.loss, best.stale
        (1.0, 1)
    """

    def __init__(self) -> None:
        self.loss: float | None = None
        self.weights: list[Tensor] | None = None
        self.stale = 0

    def judge(self, loss: float, weights: list[Tensor]) -> None:
        """Take in a validation's loss and the weights that it was computed with, of which a copy is kept."""
        if math.isfinite(loss) and (self.loss is None or loss < self.loss):
            self.loss, self.stale = loss, 0
            self.weights = [value.detach().clone() for value in weights]
        else:
            self.stale += 1

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.loss, "best_weights": self.weights, "stale": self.stale}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.loss, self.weights, self.stale = state["best"], state["best_weights"], state["stale"]
