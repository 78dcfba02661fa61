"""What every base distribution is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import trailing_dims


class Distribution(nn.Module):
    r"""A distribution over events of one shape, conditional on a context or not.

    A subclass writes :meth:`log_prob` and :meth:`_draw`. Shapes follow ``torch.distributions``: ``sample(sample_shape,
    context)`` gives ``sample_shape + context's batch + event_shape``.

    Attributes:
        event_shape: the shape of one event.
        exact: ``False`` where ``log_prob`` is a bound or an estimate.
        reparametrised: whether samples carry gradients to the parameters, so that :meth:`rsample` exists.
        light: whether ``log_prob`` is so few operations that it is best compiled together with what leads to it.
    """

    event_shape: torch.Size
    exact: bool = True
    reparametrised: bool = True
    light: bool = False

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density (or log-mass) of ``x`` in nats, of shape ``batch_shape``."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob: a Distribution is abstract")

    def _draw(
        self, batch_shape: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        """Draw ``batch_shape + event_shape``; a context already has that batch shape."""
        raise NotImplementedError(f"{type(self).__name__} has no _draw: a Distribution is abstract")

    def rsample(
        self,
        sample_shape: int | Sequence[int] = (),
        context: Tensor | None = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw samples that carry gradients to the parameters.

        Raises:
            UsageError: if the distribution cannot be reparametrised.
        """
        if not self.reparametrised:
            raise UsageError(f"{type(self).__name__} cannot be reparametrised: use sample() instead of rsample()")
        return self._sample(sample_shape, context, temperature, generator)

    @torch.no_grad()
    def sample(
        self,
        sample_shape: int | Sequence[int] = (),
        context: Tensor | None = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw samples, ``sample_shape + context's batch + event_shape``.

        ``temperature`` scales the spread of the base: 1 is the distribution itself, lower is nearer to its mode.
        """
        return self._sample(sample_shape, context, temperature, generator)

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        """Return what ``x`` is made of: one tensor, or one for each level of a hierarchical distribution."""
        return (x,)

    def from_latents(self, latents: Sequence[Tensor | None], context: Tensor | None = None) -> Tensor:
        """Put ``x`` together again from all its latents."""
        (x,) = latents
        if x is None:
            raise UsageError("the last latent is missing: only latents that were factored out before it can be drawn")
        return x

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set what depends on the data from one batch; most distributions have nothing to set."""

    def _own_context_dims(self, context: Tensor) -> int:
        """Return how many trailing dimensions of a context are one context's own, the others being its batch."""
        return trailing_dims(context, self.event_shape)

    def compile_blocks(self, **options: Any) -> None:
        """Compile the parts that are worth it; most distributions are too small to gain."""

    def _sample(
        self,
        sample_shape: int | Sequence[int],
        context: Tensor | None,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        if temperature <= 0:
            raise UsageError(f"temperature expects a positive number, got {temperature}")
        batch = torch.Size([sample_shape] if isinstance(sample_shape, int) else sample_shape)
        if context is not None:
            own = self._own_context_dims(context)
            if context.dim() < own:
                raise ShapeError(f"context expects at least {own} dimensions, got shape {tuple(context.shape)}")
            batch = batch + context.shape[: context.dim() - own]
            context = context.expand(*batch, *context.shape[context.dim() - own :])
        return self._draw(batch, context, temperature, generator)


def randn(like: Tensor, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of ``like``'s dtype and device."""
    return torch.randn(torch.Size(shape), dtype=like.dtype, device=like.device, generator=generator)


def rand(like: Tensor, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Uniform numbers in [0, 1) of ``like``'s dtype and device."""
    return torch.rand(torch.Size(shape), dtype=like.dtype, device=like.device, generator=generator)
