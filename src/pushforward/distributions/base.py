"""What every base distribution is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.distributions.inputs import as_batch, as_context, as_events
from pushforward.errors import UsageError
from pushforward.networks.context import broadcast, check_context, check_context_values
from pushforward.numerics import check_event
from pushforward.parts import ModulePart
from pushforward.spaces import Space

Latents = Sequence[Tensor | None]


class Distribution(ModulePart):
    r"""A distribution ``x ~ p(x | c)`` over the events of a space, conditional on a context or not.

    To write one, derive from this class, set ``support`` (and ``context``, where there is one) and write
    :meth:`forward`, the log-density of checked events, and :meth:`draw`. Shapes follow ``torch.distributions``:
    ``sample(sample_shape, context)`` gives ``sample_shape + context's batch + event_shape``.

    Attributes:
        support: the space of the events; outside of it ``log_prob`` is ``-inf``.
        context: the space of the context, None where the distribution takes none.
        accuracy: what ``log_prob`` is: exact, a lower bound or an estimate.
        reparametrised: whether samples carry gradients to the parameters, so that :meth:`rsample` exists.
        finishes: whether :meth:`finish` fits anything.

    Raises:
        ShapeError: if events or contexts do not fit the spaces.
        UsageError: for a temperature that is not positive.

    Source: Dillon et al. (2017), TensorFlow Distributions, arXiv:1711.10604, for the shapes and the names.

    Example:
        >>> import pushforward as pf
        >>> normal = pf.distributions.FullNormal((2,))
        >>> normal.log_prob(normal.sample(5)).shape, normal.support
        (torch.Size([5]), Reals(shape=(2,)))
    """

    support: Space
    context: Space | None = None
    accuracy: Accuracy = Accuracy.EXACT
    reparametrised: bool = True
    finishes: bool = False

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The work of :meth:`log_prob` for events of the support and contexts of one batch; this is what wrappers of
        modules (compile, data parallel, hooks) find."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob: a Distribution is abstract")

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        """Draw ``batch + event_shape``; a context, as :meth:`take_context` gives it, already has that batch shape."""
        raise NotImplementedError(f"{type(self).__name__} has no draw: a Distribution is abstract")

    @property
    def event_shape(self) -> torch.Size:
        """The shape of one event."""
        return self.support.shape

    @property
    def context_shape(self) -> torch.Size | None:
        """The shape of one context, None where the distribution takes none."""
        return None if self.context is None else self.context.shape

    def log_prob(self, x: Any, context: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the log-density (or log-mass) of ``x`` in nats, of shape ``batch_shape``; ``-inf`` outside of the
        support. One event with many contexts, and many events with one context, broadcast.

        Raises:
            ShapeError: if ``x`` does not end in ``event_shape``, or the context is missing, superfluous or misshapen.
        """
        events = as_events(self, x, discrete=self.support.discrete)
        return self.score(events, as_context(self, context), generator)

    def score(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return what :meth:`log_prob` does, of tensors of the distribution's own type, as flows hand them to bases."""
        return self._within_support(*self.check(x, context), generator)

    def _within_support(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """The log-density of checked events, ``-inf`` outside of the support."""
        if self.support.everywhere:
            return self(x, context, generator)
        # A point of the support in the place of one that is not: neither values nor gradients spread from there.
        x, inside = self.support.inside(x)
        return torch.where(inside, self(x, context, generator), -torch.inf)

    def check(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Check events and contexts and return them with one batch, the context as :meth:`forward` takes it."""
        check_event(x, self.support.shape, type(self).__name__)
        given = self.take_context(context)
        if given is None:
            return x, None
        return broadcast(x, len(self.support.shape), given, self.taken_dims, type(self).__name__), given

    def take_context(self, context: Tensor | None) -> Tensor | None:
        """Check a context and return it as :meth:`forward` and :meth:`draw` take it: as networks see it."""
        check_context(context, self.context, type(self).__name__)
        check_context_values(context, self.context)
        return None if context is None or self.context is None else self.context.features(context)

    @property
    def taken_dims(self) -> int:
        """How many dimensions of a context, as it is taken, are not its batch."""
        return 0 if self.context is None else len(self.context.features_shape)

    def rsample(
        self,
        sample_shape: int | Sequence[int] = (),
        context: Any = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw samples that carry gradients to the parameters.

        Raises:
            UsageError: if the distribution cannot be reparametrised.
        """
        self._check_reparametrised("rsample")
        return self._sample(sample_shape, context, temperature, generator)

    def rsample_and_log_prob(
        self,
        sample_shape: int | Sequence[int] = (),
        context: Any = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw samples that carry gradients to the parameters, with their log-densities, in one pass.

        Raises:
            UsageError: if the distribution cannot be reparametrised.
        """
        self._check_reparametrised("rsample_and_log_prob")
        batch, given = self._batch(sample_shape, context)
        return self.draw_and_score(batch, given, generator)

    @torch.no_grad()
    def sample(
        self,
        sample_shape: int | Sequence[int] = (),
        context: Any = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw samples, ``sample_shape + context's batch + event_shape``.

        ``temperature`` scales the spread of the base: 1 is the distribution itself, lower is nearer to its mode.
        """
        return self._sample(sample_shape, context, temperature, generator)

    def draw_and_score(
        self, batch: torch.Size, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Draw ``batch + event_shape`` with log-densities; arguments as for :meth:`draw`."""
        x = self.draw(batch, context, 1.0, generator)
        return x, self(x, context, generator)

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        """Return what ``x`` is made of: one tensor, or one for each level of a hierarchical distribution."""
        return (x,)

    def from_latents(
        self, latents: Latents, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Put ``x`` together again from all its latents."""
        (x,) = latents
        if x is None:
            raise UsageError("the last latent is missing: only latents that were factored out before it can be drawn")
        return x

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set what depends on the data from one batch; most distributions have nothing to set."""

    def finish(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> None:
        """Fit what no gradient trains to data, once a training has ended; most distributions have no such part."""

    def count_latents(self) -> int:
        """How many tensors :meth:`latents` gives."""
        return 1

    def composition(self) -> list[tuple[str, Any]]:
        """Return the transforms and distributions that this one is made of, by their names in it; none for one that is
        not composed."""
        return []

    def compile_blocks(self, **options: Any) -> None:
        """Compile the parts that are worth it; most distributions are too small to gain."""

    def _check_reparametrised(self, what: str) -> None:
        if not self.reparametrised:
            raise UsageError(f"{type(self).__name__} cannot be reparametrised: use sample() instead of {what}()")

    def _sample(
        self, sample_shape: int | Sequence[int], context: Any, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        if not 0 < temperature < float("inf"):
            raise UsageError(f"temperature expects a positive finite number, got {temperature}")
        batch, given = self._batch(sample_shape, context)
        return self.draw(batch, given, temperature, generator)

    def _batch(self, sample_shape: int | Sequence[int], context: Any) -> tuple[torch.Size, Tensor | None]:
        """The batch to draw, and the context expanded to it, as :meth:`draw` takes it."""
        batch = as_batch(sample_shape)
        given = self.take_context(as_context(self, context))
        if given is None:
            return batch, None
        own = given.shape[given.dim() - self.taken_dims :]
        batch = batch + given.shape[: given.dim() - self.taken_dims]
        return batch, given.expand(*batch, *own)
