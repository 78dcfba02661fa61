"""What an objective is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from pushforward.flows.flow import Flow

#: An objective takes the flow, a batch of events and their contexts, and returns the loss of the batch, a scalar.
Objective = Callable[[Flow, Tensor, Tensor | None], Tensor]


@runtime_checkable
class Scheduled(Protocol):
    """An objective that changes as the training goes on; called as it is, it is what held-out data are judged by."""

    def at(self, step: int) -> Objective:
        """Return the objective of a training step, counted from 0."""


def objective_at(objective: Objective, step: int) -> Objective:
    """Return what a training step minimises: the objective of that step, where there is one for each.

    Example:
        >>> from pushforward.training import ELBO
        >>> objective_at(ELBO(warmup_steps=10), 5)
        ELBO(beta=0.5, warmup_steps=10, free_bits=0.0)
    """
    return objective.at(step) if isinstance(objective, Scheduled) else objective
