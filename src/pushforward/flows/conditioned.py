"""A flow at a fixed context, as a distribution that torch.distributions and Pyro know how to use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import constraints

if TYPE_CHECKING:
    from pushforward.flows.flow import Flow


class ConditionedFlow(torch.distributions.Distribution):
    """``p(x | context)`` of a flow as a ``torch.distributions.Distribution``; made by ``flow.condition(context)``."""

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, flow: Flow, context: Tensor | None) -> None:
        self.flow = flow
        self.context = context
        batch = torch.Size() if context is None else context.shape[: context.dim() - flow._own_context_dims(context)]
        super().__init__(batch_shape=batch, event_shape=flow.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether samples carry gradients."""
        return self.flow.reparametrised

    @property
    def support(self) -> constraints.Constraint:
        """All of the event space."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the flow's ``log_prob`` of ``value`` given the context."""
        batch = value.shape[: value.dim() - len(self.event_shape)]
        batch = torch.broadcast_shapes(batch, self.batch_shape)
        return self.flow.log_prob(value.expand(*batch, *self.event_shape), self._expanded(batch))

    def rsample(self, sample_shape: Sequence[int] = torch.Size()) -> Tensor:
        """Draw samples with gradients."""
        return self.flow.rsample(sample_shape, self.context)

    def sample(self, sample_shape: Sequence[int] = torch.Size()) -> Tensor:
        """Draw samples without gradients."""
        return self.flow.sample(sample_shape, self.context)

    def _expanded(self, batch: torch.Size) -> Tensor | None:
        if self.context is None:
            return None
        return self.context.expand(*batch, *self.context.shape[len(self.batch_shape) :])
