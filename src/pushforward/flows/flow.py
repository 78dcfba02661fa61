"""The flow: a base distribution pulled back through a transform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.accuracy import Accuracy, worst
from pushforward.distributions.base import Distribution, Latents
from pushforward.distributions.from_torch import as_base
from pushforward.distributions.inputs import as_context, as_events, check_inside
from pushforward.errors import ShapeError, UsageError
from pushforward.flows.chunks import in_chunks
from pushforward.flows.conditioned import ConditionedFlow
from pushforward.flows.embedding import check_embedding, embedded
from pushforward.kernels.compilation import compile_flow
from pushforward.networks.context import Context, check_context, check_context_values
from pushforward.spaces import Integers, Space
from pushforward.spaces import as_context as context_space
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain, common_context
from pushforward.transforms.stochastic.targets import check_log_density, log_density_of, sees_context


class Flow(Distribution):
    r"""A normalizing flow, ``log p(x) = log p_base(f(x)) + log |det df/dx|``.

    A flow is a distribution itself, so a flow can be the base of another one. ``accuracy`` says what ``log_prob`` is:
    where it is a lower bound (dequantization) or an estimate (a stochastic trace), it is drawn anew at each call.

    Args:
        transform: from data to latent; a list is chained.
        base: the distribution of the latent, one of ours or a ``torch.distributions`` object.
        context: the context that users give, a number of features, a shape or a space; by default what the parts take.
        embedding: a network that makes of a context what the parts take, trained with the flow: a summary network of an
            image, a series or a set.

    Raises:
        UsageError: if the parts do not fit each other: their spaces, their shapes or their contexts.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Elementwise
        >>> flow = Flow([Elementwise(Affine(), (2,))], StandardNormal((2,)))
        >>> flow.log_prob(torch.zeros(3, 2)).shape, flow.sample(4).shape
        (torch.Size([3]), torch.Size([4, 2]))
    """

    def __init__(
        self,
        transform: Transform | Sequence[Transform],
        base: Distribution | torch.distributions.Distribution,
        *,
        context: Context = 0,
        embedding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.transform = transform if isinstance(transform, Transform) else Chain(transform)
        self.base = as_base(base)
        self.support = self.transform.inverse_space(self.base.support)
        self.accuracy = worst([self.transform.accuracy, self.base.accuracy])
        # No gradient passes through a value that is rounded, looked up or chosen on its way to the data.
        passes = self.transform.reparametrised and not self.support.discrete
        self.reparametrised = self.base.reparametrised and passes
        self.finishes = type(self).finishes or self.base.finishes
        self.inner_context = common_context([self.transform, self.base], "Flow")
        self.context = context_space(context) or self.inner_context
        self.embedding = check_embedding(embedding, self.context, self.inner_context)
        self.recipe: dict[str, Any] | None = None
        self.uses_batch = any(getattr(part, "uses_batch", False) for part in self.modules())

    @property
    def levels(self) -> int | None:
        """How many values the data's integers take, or ``None`` for a flow of continuous data."""
        return self.support.count if isinstance(self.support, Integers) else None

    def log_prob(self, x: Any, context: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Return ``log p(x)`` in nats, of shape ``batch_shape``: exact, a one-sample lower bound or a one-sample
        estimate, as ``accuracy`` says; ``-inf`` outside of the support.

        One event with many contexts, and many events with one context, broadcast. Without gradients, many events are
        scored in parts, in bounded memory.

        Raises:
            ShapeError: if ``x`` does not end in ``event_shape``, or the context is missing, superfluous or misshapen.
        """
        events = as_events(self, x, discrete=self.support.discrete)
        events, given = self.check(events, as_context(self, context))
        if self.training and self.uses_batch:
            return self._within_support(events, given, generator)
        return in_chunks(
            lambda x, c: self._within_support(x, c, generator), events, len(self.event_shape), given, self.taken_dims
        )

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The work of :meth:`log_prob` on events of the support, where wrappers of modules (compile, data parallel,
        hooks) find it; the context has passed the embedding."""
        z, log_det = self.transform(x, self._for(self.transform, context), generator)
        log_prob = self.base.score(z, self._for(self.base, context), generator)
        if log_det.shape != log_prob.shape:
            raise ShapeError(
                f"a transform returns its log-determinant summed over the event, of the batch's shape "
                f"{tuple(log_prob.shape)}, got {tuple(log_det.shape)}"
            )
        return log_prob + log_det

    def take_context(self, context: Tensor | None) -> Tensor | None:
        """Check a context and return it as the parts take it: through the embedding, where there is one."""
        check_context(context, self.context, "the flow")
        check_context_values(context, self.context)
        if context is None or self.context is None or self.embedding is None:
            return context
        features = self.context.features(context)
        return embedded(self.embedding, features, len(self.context.features_shape), self.inner_context)

    @property
    def taken_dims(self) -> int:
        return 0 if self.inner_context is None else len(self.inner_context.shape)

    def encode(
        self, x: Any, context: Any = None, generator: torch.Generator | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Return the latent of ``x``, or all latents of a multi-scale flow, such that :meth:`decode` gives ``x``."""
        events = as_events(self, x, discrete=self.support.discrete)
        check_inside(events, self.support, "encode")
        latents = self.latents(*self.check(events, as_context(self, context)), generator)
        return latents[0] if len(latents) == 1 else latents

    def decode(
        self, latents: Tensor | Latents, context: Any = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the event of a latent, or of all latents of a multi-scale flow; of those factored out, any that is
        ``None`` is drawn given the ones behind it."""
        several = [latents] if isinstance(latents, Tensor) else list(latents)
        count = self.count_latents()
        if len(several) != count:
            raise UsageError(f"decode expects the flow's {count} latents, got {len(several)}: see encode")
        return self.from_latents(several, self.take_context(as_context(self, context)), generator)

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        z = self.transform.encode(x, self._for(self.transform, context), generator)
        return self.base.latents(z, self._taken_by_base(context), generator)

    def from_latents(
        self, latents: Latents, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        z = self.base.from_latents(latents, self._taken_by_base(context), generator)
        return self.transform.decode(z, self._for(self.transform, context), generator)

    def initialise(self, x: Any, context: Any = None) -> None:
        """Set what depends on the data (standardisation, ActNorm) from one batch, once, from the data to the base.

        Raises:
            DataError: if the batch is empty.
        """
        with torch.no_grad():
            given = as_context(self, context)
            check_context(given, self.context, "the flow")
            if given is not None and self.context is not None and hasattr(self.embedding, "initialise"):
                self.embedding.initialise(self.context.features(given))  # type: ignore[union-attr, operator]
            x, given = self.check(as_events(self, x, discrete=self.support.discrete), given)
            z = self.transform.initialise(x, self._for(self.transform, given))
            self.base.initialise(z, self._for(self.base, given))

    def finish(self, x: Any, context: Any = None, generator: torch.Generator | None = None) -> None:
        """Fit what gradients do not train to the latents of data, once the rest has been trained; ``fit`` does it.

        Args:
            x: events ``(N, ...)``.
            context: their contexts; what is fitted is one for all of them.
            generator: of the draws, where latents are drawn.
        """
        if not self.base.finishes:
            return
        with torch.no_grad():
            x, given = self.check(as_events(self, x, discrete=self.support.discrete), as_context(self, context))
            z = in_chunks(
                lambda x, c: self.transform.encode(x, self._for(self.transform, c), generator),
                x,
                len(self.event_shape),
                given,
                self.taken_dims,
            )
            self.base.finish(z, self._for(self.base, given), generator)

    def importance_log_prob(
        self,
        x: Any,
        context: Any = None,
        *,
        importance_samples: int = 64,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return ``log 1/M sum_m p(x, u_m) / q(u_m | x)``: a bound that tightens as ``M`` grows.

        Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519. One draw is enough where the flow is exact.

        Raises:
            UsageError: where ``log_prob`` is an estimate, which importance weighting would bias and not tighten.
        """
        if not isinstance(importance_samples, Integral) or importance_samples < 1:
            raise UsageError(f"importance_samples expects a whole number of at least 1, got {importance_samples!r}")
        if self.accuracy is Accuracy.ESTIMATE and importance_samples > 1:
            raise UsageError(
                "importance weighting tightens lower bounds, and this flow's log_prob is an estimate: average several "
                "calls of log_prob instead"
            )
        if self.accuracy is Accuracy.EXACT or importance_samples == 1:
            return self.log_prob(x, context, generator)
        draws = torch.stack([self.log_prob(x, context, generator) for _ in range(importance_samples)])
        return torch.logsumexp(draws, 0) - math.log(importance_samples)

    def log_prob_with_error(
        self, x: Any, context: Any = None, *, draws: int = 8, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the mean of several draws of ``log p(x)`` and its standard error, both of ``batch_shape``; the error
        is 0 where the flow is exact. Of an estimate the mean tends to ``log p(x)``, of a bound to the bound.

        Raises:
            UsageError: for fewer than two draws, which tell no error.
        """
        if not isinstance(draws, Integral) or draws < 2:
            raise UsageError(f"log_prob_with_error expects draws to be a whole number of at least 2, got {draws!r}")
        if self.accuracy is Accuracy.EXACT:
            value = self.log_prob(x, context, generator)
            return value, torch.zeros_like(value)
        values = torch.stack([self.log_prob(x, context, generator) for _ in range(draws)])
        return values.mean(0), values.std(0) / math.sqrt(draws)

    def log_weight(
        self,
        log_density: Any,
        sample_shape: int | Sequence[int] = (),
        context: Any = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        r"""Draw samples of the flow with their importance weights, ``x`` and ``log f(x) - log q(x)``, in one pass.

        ``E exp(log_weight) = Z``, the normaliser of ``f``, exactly: where the flow is no exact one ``log q`` is that of
        the path which led to ``x``. Both carry gradients to the parameters, where the flow is ``reparametrised``;
        ``pushforward.diagnostics`` makes estimates of the weights.

        Args:
            log_density: ``log f`` up to a constant, called as ``log_density(x)``, of a flow with a context as
                ``log_density(x, context)``; or a distribution, or a module, without the context where its own
                ``context`` is None.
            sample_shape: how many samples, for each context.
            context: as for ``sample``.
            generator: of the draws.

        Raises:
            UsageError: where ``log_prob`` is an estimate, whose exponential is biased, or ``log_density`` none.
            ShapeError: if ``log_density`` does not return one number for each sample.

        Source: Wu, Koehler, Noe (2020), arXiv:2002.06707, section 3.
        """
        if self.accuracy is Accuracy.ESTIMATE:
            raise UsageError("log_weight expects a flow whose weights are right in the mean, and this one's are not")
        check_log_density(log_density, "log_weight")
        batch, taken = self._batch(sample_shape, context)
        x, log_q = self.draw_and_score(batch, taken, generator)
        given = as_context(self, context) if sees_context(log_density) else None
        if given is not None and self.context is not None:
            given = given.expand(*batch, *self.context.shape)
        return x, log_density_of(log_density, x, given, len(self.event_shape)) - log_q

    def bits_per_dim(
        self,
        x: Any,
        context: Any = None,
        *,
        importance_samples: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return ``-log2 p(x) / D`` per event, ``D`` the support's dimensions; an upper bound on the bits where
        ``log_prob`` is a lower bound."""
        log_prob = self.importance_log_prob(x, context, importance_samples=importance_samples, generator=generator)
        return -log_prob / (math.log(2.0) * self.support.dimensions)

    def condition(self, context: Any = None) -> ConditionedFlow:
        """Return ``p(x | context)`` as a ``torch.distributions.Distribution``."""
        return ConditionedFlow(self, as_context(self, context))

    def count_latents(self) -> int:
        return self.base.count_latents()

    def composition(self) -> list[tuple[str, Any]]:
        return [("transform", self.transform), ("base", self.base)]

    def compile_blocks(self, **options: Any) -> None:
        """Compile each part by itself: equal layers share one compiled block, so the first call stays short.

        A flow of few operations (a MAF, say) is compiled as one, as calling each part would take longer than its work.

        Args:
            options: for ``torch.compile``. Without any, a part is compiled anew for each shape that it meets (code
                for all shapes is slower, and the compiler cannot make it for channels-last images), up to 64 times.
        """
        compile_flow(self, options)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        z = self.base.draw(batch, self._taken_by_base(context), temperature, generator)
        return in_chunks(
            lambda z, c: self.transform.decode(z, self._for(self.transform, c), generator),
            z,
            len(self.base.event_shape),
            context,
            self.taken_dims,
        )

    def draw_and_score(
        self, batch: torch.Size, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        z, log_prob = self.base.draw_and_score(batch, self._taken_by_base(context), generator)
        x, log_det = self.transform.inverse(z, self._for(self.transform, context), generator)
        return x, log_prob - log_det

    def _taken_by_base(self, context: Tensor | None) -> Tensor | None:
        return self.base.take_context(self._for(self.base, context))

    @staticmethod
    def _for(part: Transform | Distribution, context: Tensor | None) -> Tensor | None:
        """The context, where the part takes one."""
        space: Space | None = part.context
        return None if space is None else context
