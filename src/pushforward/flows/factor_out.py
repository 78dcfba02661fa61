"""Factor-out: the multi-scale architecture as a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.networks.context import condition_on, join_vector_context


class FactorOut(Distribution):
    r"""Part of the event is handed to a base of its own, the rest flows on, ``p(x) = p(x_k) p(x_s | x_k)``.

    The event is split along its first dimension (channels of an image, features of a vector): the first part ``x_k``
    is kept and modelled by ``rest``, usually a further flow, the second ``x_s`` ends here in ``split``, whose context
    is the kept part (joined with the user's context, if there is one). The latents of all levels together are the
    latent of the event: ``(x_s, *latents of x_k)``.

    Args:
        split: the base of the part that is split off, of event shape ``(C_s, H, W)`` or ``(D_s,)``; a distribution
            that ignores its context (``StandardNormal``) or one conditioned on the kept part (``ConditionalNormal``).
        rest: the distribution of the part that is kept, of event shape ``(C_k, H, W)`` or ``(D_k,)``.

    Raises:
        UsageError: if the two event shapes cannot be parts of one event.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> both = FactorOut(StandardNormal((1, 2, 2)), StandardNormal((3, 2, 2)))
        >>> both.event_shape, [latent.shape[0] for latent in both.latents(torch.zeros(4, 2, 2))]
        (torch.Size([4, 2, 2]), [1, 3])
    """

    def __init__(self, split: Distribution, rest: Distribution) -> None:
        super().__init__()
        if split.event_shape[1:] != rest.event_shape[1:]:
            raise UsageError(
                "FactorOut expects two parts that differ in their first dimension alone, got "
                f"{tuple(split.event_shape)} and {tuple(rest.event_shape)}"
            )
        self.split = split
        self.rest = rest
        self.kept = rest.event_shape[0]
        self.event_shape = torch.Size([self.kept + split.event_shape[0], *rest.event_shape[1:]])
        self.dim = -len(self.event_shape)
        self.reparametrised = split.reparametrised and rest.reparametrised

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Whether both parts are exact."""
        return self.split.exact and self.rest.exact

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        kept, split = self._parts(x)
        return self.rest.log_prob(kept, context) + self.split.log_prob(split, self._condition(kept, context))

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        kept, split = self._parts(x)
        return (split, *self.rest.latents(kept, context, generator))

    def from_latents(self, latents: Sequence[Tensor | None], context: Tensor | None = None) -> Tensor:
        """Put ``x`` together from all its latents; one that is ``None`` is drawn given those behind it."""
        split, *rest = latents
        kept = self.rest.from_latents(rest, context)
        if split is None:
            batch = kept.shape[: kept.dim() + self.dim]
            split = self.split._draw(batch, self._condition(kept, context), 1.0, None)
        return torch.cat([kept, split], dim=self.dim)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        kept, split = self._parts(x)
        self.rest.initialise(kept, context)
        self.split.initialise(split, self._condition(kept, context))

    def compile_blocks(self, **options: Any) -> None:
        """Compile the blocks of the part that flows on."""
        self.rest.compile_blocks(**options)
        self.split.compile_blocks(**options)

    def _draw(
        self, batch_shape: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        kept = self.rest._draw(batch_shape, context, temperature, generator)
        split = self.split._draw(batch_shape, self._condition(kept, context), temperature, generator)
        return torch.cat([kept, split], dim=self.dim)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, split = x.split([self.kept, x.shape[self.dim] - self.kept], dim=self.dim)
        return kept, split

    def _condition(self, kept: Tensor, context: Tensor | None) -> Tensor:
        if self.dim == -3:
            return condition_on(kept, context, "FactorOut")
        return kept if context is None else join_vector_context(kept, context, context.shape[-1], "FactorOut")
