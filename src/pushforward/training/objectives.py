"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pushforward.flows.flow import Flow

#: An objective takes the flow, a batch of events and their contexts, and returns the loss of the batch, a scalar.
Objective = Callable[[Flow, Tensor, Tensor | None], Tensor]


def negative_log_likelihood(flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
    """The mean of ``-log p(x | context)`` in nats per event; an upper bound on it where the flow is not exact."""
    return -flow.log_prob(x, context).mean()
