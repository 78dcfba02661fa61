"""Factor-out: the multi-scale architecture as a distribution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.accuracy import worst
from pushforward.distributions.base import Distribution, Latents
from pushforward.errors import UsageError
from pushforward.networks.context import Context, check_context, for_network, join_image, join_vector
from pushforward.transforms.conditioning import conditioner_context


class FactorOut(Distribution):
    r"""Part of the event is handed to a base of its own, the rest flows on, ``p(x) = p(x_k) p(x_s | x_k)``.

    The event is split along its first dimension (channels of an image, features of a vector): the first part ``x_k``
    is kept and modelled by ``rest``, usually a further flow, the second ``x_s`` ends here in ``split``, whose context
    is the kept part (joined with the user's context, if there is one). The latents of all levels together are the
    latent of the event: ``(x_s, *latents of x_k)``.

    Args:
        split: the base of the part that is split off, of event shape ``(C_s, H, W)`` or ``(D_s,)``; a distribution
            without a context (``StandardNormal``) or one conditioned on the kept part (``ConditionalNormal``), with the
            user's context as further channels or features.
        rest: the distribution of the part that is kept, of event shape ``(C_k, H, W)`` or ``(D_k,)``.
        context: the user's context, as ``rest`` takes it; 0 for none.

    Raises:
        UsageError: if the two event shapes cannot be parts of one event.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> both = FactorOut(StandardNormal((1, 2, 2)), StandardNormal((3, 2, 2)))
        >>> both.event_shape, [latent.shape[0] for latent in both.latents(torch.zeros(4, 2, 2))]
        (torch.Size([4, 2, 2]), [1, 3])
    """

    def __init__(self, split: Distribution, rest: Distribution, context: Context = 0) -> None:
        super().__init__()
        if split.event_shape[1:] != rest.event_shape[1:] or not split.support.same_kind(rest.support):
            raise UsageError(
                f"FactorOut expects two parts that differ in their first dimension alone, got {split.support} and "
                f"{rest.support}"
            )
        self.split = split
        self.rest = rest
        self.kept = rest.event_shape[0]
        self.support = rest.support.with_shape((self.kept + split.event_shape[0], *rest.event_shape[1:]))
        self.dim = -len(self.event_shape)
        self.accuracy = worst([split.accuracy, rest.accuracy])
        self.reparametrised = split.reparametrised and rest.reparametrised
        self.finishes = split.finishes or rest.finishes
        self.context = conditioner_context(context, len(self.event_shape), "FactorOut")
        self._check_contexts()

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        kept, split = self._parts(x)
        log_prob = self.split.score(split, self._condition(kept, context), generator)
        return self.rest.score(kept, self._for_rest(context), generator) + log_prob

    def take_context(self, context: Tensor | None) -> Tensor | None:
        # As it is given: the parts see to it.
        check_context(context, self.context, "FactorOut")
        return context

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        kept, split = self._parts(x)
        return (split, *self.rest.latents(kept, self._taken_by_rest(context), generator))

    def from_latents(
        self, latents: Latents, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Put ``x`` together from all its latents; one that is ``None`` is drawn given those behind it."""
        split, *rest = latents
        kept = self.rest.from_latents(rest, self._taken_by_rest(context), generator)
        if split is None:
            split = self._draw_split(kept, context, 1.0, generator)
        return torch.cat([kept, split], dim=self.dim)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        kept, split = self._parts(x)
        self.rest.initialise(kept, self._for_rest(context))
        self.split.initialise(split, self._condition(kept, context))

    def finish(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> None:
        kept, split = self._parts(x)
        self.rest.finish(kept, self._for_rest(context), generator)
        self.split.finish(split, self._condition(kept, context), generator)

    def count_latents(self) -> int:
        return 1 + self.rest.count_latents()

    def composition(self) -> list[tuple[str, Any]]:
        return [("split", self.split), ("rest", self.rest)]

    def compile_blocks(self, **options: Any) -> None:
        """Compile the blocks of the part that flows on."""
        self.rest.compile_blocks(**options)
        self.split.compile_blocks(**options)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        kept = self.rest.draw(batch, self._taken_by_rest(context), temperature, generator)
        return torch.cat([kept, self._draw_split(kept, context, temperature, generator)], dim=self.dim)

    def draw_and_score(
        self, batch: torch.Size, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        kept, log_prob = self.rest.draw_and_score(batch, self._taken_by_rest(context), generator)
        condition = self.split.take_context(self._condition(kept, context))
        split, log_split = self.split.draw_and_score(batch, condition, generator)
        return torch.cat([kept, split], dim=self.dim), log_prob + log_split

    def _draw_split(
        self, kept: Tensor, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        batch = kept.shape[: kept.dim() + self.dim]
        condition = self.split.take_context(self._condition(kept, context))
        return self.split.draw(batch, condition, temperature, generator)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, split = x.split([self.kept, x.shape[self.dim] - self.kept], dim=self.dim)
        return kept, split

    def _for_rest(self, context: Tensor | None) -> Tensor | None:
        return None if self.rest.context is None else context

    def _taken_by_rest(self, context: Tensor | None) -> Tensor | None:
        return self.rest.take_context(self._for_rest(context))

    def _condition(self, kept: Tensor, context: Tensor | None) -> Tensor | None:
        """What the split-off part is given: the kept part, joined by the user's context."""
        if self.split.context is None:
            return None
        seen = None if context is None or self.context is None else self.context.features(context)
        shape = for_network(self.context)
        if self.dim == -3:
            return join_image(kept, seen, shape, "FactorOut")
        return join_vector(kept, seen, shape if isinstance(shape, int) else shape[0], "FactorOut")

    def _check_contexts(self) -> None:
        if self.rest.context is not None and self.rest.context != self.context:
            raise UsageError(f"FactorOut expects context={self.rest.context}, as its rest takes it, got {self.context}")
        if self.split.context is None:
            return
        shape = for_network(self.context)
        expected = (self.kept + (shape if isinstance(shape, int) else shape[0]), *self.event_shape[1:])
        if tuple(self.split.context.shape) != expected:
            raise UsageError(
                f"FactorOut expects a split-off part that is conditioned on the kept one (and the context), "
                f"context={expected}, got {tuple(self.split.context.shape)}"
            )
