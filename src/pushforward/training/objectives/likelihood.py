"""Maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pushforward.flows.flow import Flow


@dataclass(frozen=True)
class NegativeLogLikelihood:
    """The mean of ``-log p(x | context)`` in nats per event; an upper bound on it where the flow is not exact.

    Attributes:
        log_volume: of the map by which the events were scaled before the flow sees them, ``sum log scale``. With it the
            loss is that of the events as they were, ``-log p(u) + sum log scale``.
    """

    log_volume: float = 0.0

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.log_volume - flow.log_prob(x, context).mean()


#: The negative log-likelihood of events as they are.
negative_log_likelihood = NegativeLogLikelihood()
