"""The one unit in which a loss is shown and written: on the progress line, in ``metrics.csv``, by the commands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pushforward.flows.flow import Flow
from pushforward.training.objectives import NegativeLogLikelihood, Objective


@dataclass(frozen=True)
class Unit:
    """A unit of the negative log-likelihood per event: lower is better.

    Attributes:
        name: how columns and keys are called: ``nats``, ``bits_per_dim``, or ``loss`` of an objective of one's own.
        nats: how many nats, or what the objective counts, one unit is.

    Example:
        >>> Unit("bits_per_dim", 64 * math.log(2)).format(64.0)
        '1.4427 bits/dim'
        >>> Unit("loss").format(0.5)
        'loss 0.5000'
    """

    name: str
    nats: float = 1.0

    @classmethod
    def of(cls, flow: Flow, objective: Objective) -> Unit:
        """Bits per dimension of images and clips, nats of anything else, and no unit of what is no likelihood."""
        if not isinstance(objective, NegativeLogLikelihood):
            return cls("loss")
        if len(flow.event_shape) in (3, 4):
            return cls("bits_per_dim", math.log(2) * math.prod(flow.event_shape))
        return cls("nats")

    def value(self, loss: float) -> float:
        """A loss, as the objective gives it, in this unit."""
        return loss / self.nats

    def format(self, loss: float) -> str:
        """A loss with its unit; one that has none is called a loss."""
        number = f"{self.value(loss):.4f}{self.suffix}"
        return f"loss {number}" if self.name == "loss" else number

    @property
    def suffix(self) -> str:
        """What stands behind a number."""
        return {"nats": " nats", "bits_per_dim": " bits/dim"}.get(self.name, "")
