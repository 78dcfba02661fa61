"""What an objective is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pushforward.flows.flow import Flow

#: An objective takes the flow, a batch of events and their contexts, and returns the loss of the batch, a scalar.
Objective = Callable[[Flow, Tensor, Tensor | None], Tensor]
