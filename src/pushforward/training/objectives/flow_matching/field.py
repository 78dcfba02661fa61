"""The velocity field in a flow, and what stands before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.inputs import as_context
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.kernels.modes import evaluating
from pushforward.transforms import Continuous, Transform
from pushforward.transforms.chain import parts_in_turn


@dataclass(frozen=True)
class FieldOfFlow:
    """A flow whose last transform is continuous.

    Attributes:
        flow: the flow.
        before: the transforms that the data pass first.
        continuous: the last one.
    """

    flow: Flow
    before: Sequence[Transform]
    continuous: Continuous

    @classmethod
    def of(cls, flow: Flow, owner: str) -> FieldOfFlow:
        """Take a flow apart.

        Raises:
            UsageError: if its last transform, the one before the base, is not `Continuous`.
        """
        *before, last = parts_in_turn(flow.transform)
        if not isinstance(last, Continuous):
            raise UsageError(
                f"{owner} expects a flow whose transform is Continuous, or a chain that ends in one, got "
                f"{type(last).__name__} before the base: train it by likelihood, or build the model cnf"
            )
        return cls(flow, before, last)

    @torch.no_grad()
    def reached(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Return the image of events under the transforms before the field, where its paths end; without gradients, as
        the loss could be made small by moving the ends together."""
        for part in self.before:
            x = part.encode(x, None if part.context is None else context)
        return x

    @torch.no_grad()
    def latents(self, count: int, context: Tensor | None) -> Tensor:
        """Draw latents from the base, one for each context or ``count``; without gradients."""
        if self.flow.base.context is None:
            return self.flow.base.sample(count)
        return self.flow.base.sample((), context)

    def velocity(self, time: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        """Return the field at ``x``, one time for each event; ``context`` is what the flow's parts take."""
        return self.continuous.velocity(time, *self.checked(x, context))

    def checked(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Check events and contexts of the field and return them as its network takes them."""
        given = None if self.continuous.context is None else context
        return self.continuous.check(x, given, self.continuous.domain)


def contexts_for(flow: Flow, context: Any, count: int) -> Tensor | None:
    """Return as many contexts as there are events to draw, those given in turn, as the flow's parts take them.

    Raises:
        ShapeError: if they are missing, superfluous or misshapen.
    """
    with torch.no_grad(), evaluating(flow):
        given = flow.take_context(as_context(flow, context))
    if given is None:
        return None
    rows = given.reshape(-1, *given.shape[given.dim() - flow.taken_dims :])
    return rows[torch.arange(count, device=rows.device) % len(rows)]


def as_rows(context: Tensor | None, batch: Sequence[int], dims: int) -> Tensor | None:
    """Return the contexts of a batch, which broadcast to it, one row for each event; None of none.

    Example:
        >>> as_rows(torch.zeros(3, 2), (4, 3), 1).shape
        torch.Size([12, 2])
    """
    if context is None:
        return None
    own = context.shape[context.dim() - dims :]
    return context.expand(*batch, *own).reshape(math.prod(batch), *own)
