"""Mixtures of any distributions: which component an event is of is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.accuracy import Accuracy, worst
from pushforward.distributions.base import Distribution
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.distributions.inputs import as_context, as_events
from pushforward.distributions.mixtures.beginning import begin_with
from pushforward.distributions.mixtures.clusters import clusters
from pushforward.distributions.mixtures.groups import by_group
from pushforward.errors import DataError, UsageError
from pushforward.networks.context import check_context, check_context_values
from pushforward.numerics import bounded

MOST_EXTREME = 10.0
"""How far the logarithms of weights are from each other's mean at most."""


class Mixture(Distribution):
    r"""A mixture of distributions, ``p(x) = sum_k w_k p_k(x)``, flows above all, with learned weights.

    Which component an event is of is a latent that is summed over. Components may lie apart from each other, with
    nothing in between, which no continuous map of one base can do. :meth:`initialise` parts the data into groups of
    near events, begins each component with a group and sets the weights to their shares, so that components begin
    apart: alike, they would get the same gradients and stay alike. Where the assignments are known, see
    :class:`Assigned`.

    Args:
        components: distributions over the same space, which take the same context or none.

    Shapes: ``x`` is ``batch_shape + event_shape``, the log-density ``batch_shape``, responsibilities
    ``batch_shape + (K,)``.

    Raises:
        UsageError: if there is no component, they differ in what they are of, or one's log-density is an estimate, of
            which a mixture would be none.

    Source: McLachlan, Peel (2000), Finite Mixture Models.

    Example:
        >>> import pushforward as pf
        >>> mixture = Mixture([pf.models.realnvp(features=2, layers=2) for _ in range(3)])
        >>> mixture.responsibilities(torch.zeros(5, 2)).shape, mixture.sample(4).shape
        (torch.Size([5, 3]), torch.Size([4, 2]))
    """

    reparametrised = False
    initialised: Tensor

    def __init__(self, components: Sequence[Distribution]) -> None:
        super().__init__()
        check_components(components)
        self.components = nn.ModuleList(components)
        self.support, self.context = components[0].support, components[0].context
        self.accuracy = worst(each.accuracy for each in components)
        self.uses_batch = any(getattr(each, "uses_batch", False) for each in components)
        self.raw_weights = nn.Parameter(torch.zeros(len(components)))
        self.register_buffer("initialised", torch.tensor(False))

    @property
    def log_weights(self) -> Tensor:
        """``log w_k`` of each component."""
        return torch.log_softmax(bounded(self.raw_weights, MOST_EXTREME), -1)

    @property
    def members(self) -> list[Distribution]:
        """The components."""
        return [each for each in self.components if isinstance(each, Distribution)]

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return torch.logsumexp(self._joint(x, context, generator), -1)

    def responsibilities(self, x: Any, context: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the probability of each component given an event, ``p(k | x)``, of ``batch_shape + (K,)``."""
        events = as_events(self, x, discrete=self.support.discrete)
        return torch.softmax(self._joint(*self.check(events, as_context(self, context)), generator), -1)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        logits = self.log_weights.expand(batch.numel(), -1)
        group = gumbel_argmax(logits, temperature, generator)
        given = None if context is None else context.reshape(batch.numel(), *context.shape[len(batch) :])

        def drawn(index: int, rows: Tensor) -> Tensor:
            member = self.members[index]
            taken = member.take_context(None if given is None else given[rows])
            return member.draw(rows.shape, taken, temperature, generator)

        return by_group(group, len(self.components), drawn).reshape(batch + self.event_shape)

    def take_context(self, context: Tensor | None) -> Tensor | None:
        # As it is given: the components see to it.
        check_context(context, self.context, "Mixture")
        check_context_values(context, self.context)
        return context

    @property
    def taken_dims(self) -> int:
        return 0 if self.context is None else len(self.context.shape)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Begin with a group of near events for each component, once."""
        if self.initialised:
            return
        rows = self.support.features(x).reshape(-1, self.support.features_shape.numel())
        self.start_from(x, clusters(rows, len(self.components)).to(x.device), context)

    @torch.no_grad()
    def start_from(self, x: Tensor, group: Tensor, context: Tensor | None = None) -> None:
        """Set what depends on the data: the weights to the groups' shares, each component from its group. One without
        events begins with all.

        Raises:
            DataError: if there are no events.
        """
        events = x.reshape(-1, *self.event_shape)
        if not len(events):
            raise DataError("Mixture expects at least one event to begin with, got none")
        given = None
        if context is not None:
            given = context.expand(
                *x.shape[: x.dim() - len(self.event_shape)], *context.shape[-self.taken_dims or None :]
            )
            given = given.reshape(len(events), *given.shape[given.dim() - self.taken_dims :])
        for index, member in enumerate(self.members):
            chosen = group.flatten() == index
            rows = chosen if chosen.any() else torch.ones_like(chosen)
            begin_with(member, events[rows], None if given is None else given[rows])
        shares = torch.bincount(group.flatten(), minlength=len(self.components)).clamp_min(1)
        logits = (shares / shares.sum()).log()
        # What bounded() makes of it are the logarithms themselves.
        logits = (logits - logits.mean()).clamp(-0.9 * MOST_EXTREME, 0.9 * MOST_EXTREME)
        self.raw_weights.copy_(logits / torch.sqrt(1 - (logits / MOST_EXTREME).square()))
        self.initialised.fill_(True)

    def composition(self) -> list[tuple[str, Any]]:
        return [(f"component {index}", member) for index, member in enumerate(self.members)]

    def compile_blocks(self, **options: Any) -> None:
        """Compile the blocks of each component."""
        for member in self.members:
            member.compile_blocks(**options)

    def _joint(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """``log w_k + log p_k(x)``, ``batch + (K,)``."""
        scores = [member.score(x, context, generator) for member in self.members]
        return self.log_weights + torch.stack(scores, -1)


def check_components(components: Sequence[Distribution]) -> None:
    """Raise :class:`UsageError` unless a mixture can be made of them."""
    if not components or not all(isinstance(each, Distribution) for each in components):
        raise UsageError("Mixture expects at least one component, each of them a distribution or a flow")
    first = components[0]
    for each in components[1:]:
        if each.support != first.support or each.context != first.context:
            raise UsageError(
                f"Mixture expects components over one space with one context, got {first.support} with context "
                f"{first.context}, and {each.support} with {each.context}"
            )
    if any(each.accuracy is Accuracy.ESTIMATE for each in components):
        raise UsageError("Mixture expects components whose log-density is exact or a lower bound, got an estimate")
    if any(each.finishes for each in components):
        raise UsageError("Mixture expects components that gradients train, got one that is fitted after a training")
