"""A flow at a fixed context, as a distribution that torch.distributions and Pyro know how to use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.accuracy import Accuracy
from pushforward.distributions.inputs import as_events
from pushforward.numerics import check_event

if TYPE_CHECKING:
    from pushforward.flows.flow import Flow

DRAWS = 4096
"""How many draws the moments and the entropy are estimated from."""


class ConditionedFlow(torch.distributions.Distribution):
    """``p(x | context)`` of a flow as a ``torch.distributions.Distribution``; made by ``flow.condition(context)``.

    The moments and the entropy are estimates from 4096 draws, the same at each call.

    Raises:
        ShapeError: if the context is missing or does not fit the flow, or values are not of its events' shape.
        NotImplementedError: for what a flow does not know, as ``cdf``.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> distribution = flow.condition(None).expand((3,))
        >>> distribution.sample().shape, distribution.log_prob(torch.zeros(2)).shape, distribution.mean.shape
        (torch.Size([3, 2]), torch.Size([3]), torch.Size([3, 2]))
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, flow: Flow, context: Tensor | None, batch_shape: torch.Size | None = None) -> None:
        self.flow = flow
        self.context = context
        # Checked once, so that a wrong one is told where it is given.
        given = flow.take_context(context)
        own = torch.Size() if given is None else given.shape[: given.dim() - flow.taken_dims]
        super().__init__(own if batch_shape is None else batch_shape, flow.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether samples carry gradients."""
        return self.flow.reparametrised

    @property
    def support(self) -> constraints.Constraint:
        """The flow's own support."""
        return self.flow.support.constraint

    @property
    def accuracy(self) -> Accuracy:
        """The flow's own: what ``log_prob`` is."""
        return self.flow.accuracy

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> ConditionedFlow:
        """Return the same distribution for a larger batch."""
        batch = torch.Size(batch_shape)
        return ConditionedFlow(self.flow, self._expanded(batch), batch)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the flow's ``log_prob`` of ``value`` given the context."""
        value = as_events(self.flow, value, discrete=self.flow.support.discrete)
        check_event(value, self.event_shape, "the flow")
        batch = torch.broadcast_shapes(value.shape[: value.dim() - len(self.event_shape)], self.batch_shape)
        return self.flow.log_prob(value.expand(*batch, *self.event_shape), self._expanded(batch))

    def rsample(self, sample_shape: Sequence[int] = torch.Size()) -> Tensor:
        """Draw samples with gradients."""
        return self.flow.rsample(*self._shape(sample_shape))

    def sample(self, sample_shape: Sequence[int] = torch.Size()) -> Tensor:
        """Draw samples without gradients."""
        return self.flow.sample(*self._shape(sample_shape))

    @property
    def mean(self) -> Tensor:
        """The mean, estimated."""
        return self._draws().mean(0)

    @property
    def variance(self) -> Tensor:
        """The variance, estimated."""
        return self._draws().var(0)

    def entropy(self) -> Tensor:
        """The entropy in nats, estimated; where ``log_prob`` is a lower bound, an upper bound on it."""
        with torch.no_grad():
            return -self.log_prob(self._draws()).mean(0)

    def __repr__(self) -> str:
        given = "none" if self.context is None else tuple(self.context.shape)
        return (
            f"ConditionedFlow(event_shape={tuple(self.event_shape)}, batch_shape={tuple(self.batch_shape)}, "
            f"context={given}, accuracy={self.flow.accuracy.describe()})"
        )

    def _draws(self) -> Tensor:
        shape, context = self._shape((DRAWS,))
        like = next((values for values in self.flow.parameters()), torch.zeros(()))
        return self.flow.sample(shape, context, generator=torch.Generator(like.device).manual_seed(0))

    def _shape(self, sample_shape: Sequence[int]) -> tuple[torch.Size, Tensor | None]:
        """The flow's own sample shape, which a context's batch is added to."""
        shape = torch.Size(sample_shape)
        return (shape + self.batch_shape, None) if self.context is None else (shape, self.context)

    def _expanded(self, batch: torch.Size) -> Tensor | None:
        if self.context is None:
            return None
        return self.context.expand(*batch, *self.context.shape[len(self.batch_shape) :])
