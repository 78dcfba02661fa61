"""The posterior of any observation as one distribution, whose context is the observation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from pushforward.accuracy import worst
from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.flows.chunks import in_chunks
from pushforward.flows.flow import Flow
from pushforward.inference.simulation.ensemble import mixed, shares
from pushforward.inference.simulation.observations import Observations
from pushforward.spaces import Reals


class AmortisedPosterior(Distribution):
    r"""What an estimator learned, ``q(theta | x) = 1/K sum_k q_k(theta | x)``, a distribution of parameters whose
    context is an observation as the simulator gives it.

    Made by ``NPE.amortised()``. It is saved and loaded as flows are, and diagnostics take it as they take a conditional
    flow.

    Args:
        observations: what the flows are given of an observation.
        flows: of the parameters, conditional on that.

    Raises:
        UsageError: without a flow.

    Example:
        >>> from torch.distributions import Uniform
        >>> from pushforward.inference import NPE
        >>> prior = Uniform(torch.zeros(2), torch.ones(2))
        >>> theta = prior.sample((100,))
        >>> inference = NPE(prior).append_simulations(theta, theta + 0.1 * torch.randn(100, 2))
        >>> posterior = inference.fit(members=2, max_steps=5, progress=False).amortised()
        >>> x = torch.tensor([[0.2, 0.9], [0.5, 0.5], [0.1, 0.1]])
        >>> posterior.sample(1000, x).shape, posterior.log_prob(theta[:3], x).shape
        (torch.Size([1000, 3, 2]), torch.Size([3]))
    """

    def __init__(self, observations: Observations, flows: Sequence[Flow]) -> None:
        super().__init__()
        if not flows:
            raise UsageError("AmortisedPosterior expects at least one flow, got none")
        self.observations = observations
        self.flows = nn.ModuleList(flows)
        self._given = flows[0].context_shape or torch.Size()
        self.support = flows[0].support
        self.context = Reals(observations.shape)
        self.accuracy = worst([flow.accuracy for flow in flows])
        self.reparametrised = all(flow.reparametrised for flow in flows)

    @property
    def members(self) -> list[Flow]:
        """The flows, of equal weights."""
        return [flow for flow in self.flows if isinstance(flow, Flow)]

    def take_context(self, context: Tensor | None) -> Tensor | None:
        """What each flow takes of an observation, ``batch + (K, features)``, so that summaries are made once."""
        given = super().take_context(context)
        if given is None:
            return None
        seen = self.observations(given)
        seen = seen.reshape(*given.shape[: given.dim() - len(self.observations.shape)], *self._given)
        taken = [flow.take_context(seen) for flow in self.members]
        return torch.stack([each for each in taken if each is not None], -2)

    @property
    def taken_dims(self) -> int:
        return 2

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        scores = [
            in_chunks(partial(flow, generator=generator), x, len(self.event_shape), taken, flow.taken_dims)
            for flow, taken in zip(self.members, _each(context), strict=True)
        ]
        return mixed(scores)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        count = batch.numel()
        places = shares(count, len(self.flows), generator)
        drawn = [
            flow.draw(torch.Size([len(own)]), taken.reshape(count, -1)[own], temperature, generator)
            for flow, taken, own in zip(self.members, _each(context), places, strict=True)
        ]
        return torch.cat(drawn)[torch.cat(places).argsort()].reshape(batch + self.event_shape)


def _each(context: Tensor | None) -> tuple[Tensor, ...]:
    """What each member takes of the observations."""
    if context is None:
        raise UsageError("AmortisedPosterior expects an observation, got none")
    return context.unbind(-2)
