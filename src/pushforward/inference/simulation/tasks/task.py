"""What a task is: a prior and a simulator."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Independent, Uniform


class Task(Protocol):
    """A prior of parameters and a simulator of observations."""

    @property
    def prior(self) -> torch.distributions.Distribution:
        """Of vectors of parameters."""

    def __call__(self, theta: Tensor) -> Tensor:
        """Simulate an observation for each of the parameters ``(n, D)``."""


def cube(features: int, bound: float) -> Independent[Uniform]:
    """The uniform distribution on ``[-bound, bound]^features``."""
    return Independent(Uniform(-bound * torch.ones(features), bound * torch.ones(features)), 1)
