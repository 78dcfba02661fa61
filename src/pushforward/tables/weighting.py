"""Training on weighted rows: each context carries its row's weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.flows import Flow
from pushforward.training.objectives import FlowMatching, NegativeLogLikelihood, Objective, objective_for


class WeightedFlow(Flow):
    """A flow whose training contexts have each row's weight as a last column."""

    def __init__(self, flow: Flow) -> None:
        context = 0 if flow.context is None else flow.context
        super().__init__(flow.transform, flow.base, context=context, embedding=flow.embedding)

    @property
    def context_shape(self) -> torch.Size:
        """The shape of a context with its row's weight behind it."""
        return torch.Size([1 + (0 if self.context is None else self.context.shape[0])])

    def initialise(self, x: Any, context: Any = None) -> None:
        super().initialise(x, unweighted(context))

    def finish(self, x: Any, context: Any = None, generator: torch.Generator | None = None) -> None:
        # Rows drawn as often as they weigh: what is fitted then need not know of weights.
        drawn = torch.multinomial(context[:, -1], len(context), replacement=True, generator=generator)
        super().finish(x[drawn], unweighted(context[drawn]), generator)


@dataclass(frozen=True)
class WeightedNegativeLogLikelihood(NegativeLogLikelihood):
    """The mean of ``-w log p(x | c)``, where the last column of the context holds the weights ``w``."""

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        assert context is not None
        return self.log_volume - (context[..., -1] * flow.log_prob(x, unweighted(context))).mean()


@dataclass(frozen=True)
class WeightedFlowMatching(FlowMatching):
    """The flow-matching loss ``w |v - dx_t/dt|^2``, where the last column of the context holds the weights ``w``.

    The pairing is independent: one over a batch of weighted rows would skew the latents to those of the heavy rows.
    """

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        assert context is not None
        return (context[..., -1] * self.losses(flow, x, unweighted(context))).mean()


def objective_of_rows(flow: Flow, log_volume: float, weighted: bool) -> Objective:
    """Return what a flow is trained by on the rows of a table: what its model is, with ``log_volume`` where that is a
    likelihood."""
    if isinstance(own := objective_for(flow), FlowMatching):
        return WeightedFlowMatching() if weighted else own
    return WeightedNegativeLogLikelihood(log_volume) if weighted else NegativeLogLikelihood(log_volume)


def unweighted(context: Tensor | None) -> Tensor | None:
    """The context without the weights, None where nothing is left."""
    return context[..., :-1] if context is not None and context.shape[-1] > 1 else None
