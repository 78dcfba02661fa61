"""The flow: a base distribution pulled back through a transform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import ShapeError, UsageError
from pushforward.flows.conditioned import ConditionedFlow
from pushforward.kernels.compilation import tuned
from pushforward.transforms.base import Transform, apply
from pushforward.transforms.chain import Chain


class Flow(Distribution):
    r"""A normalizing flow, ``log p(x) = log p_base(f(x)) + log |det df/dx|``.

    A flow is a distribution itself, so a flow can be the base of another one. Where ``exact`` is ``False``
    (dequantization, stochastic estimates) ``log_prob`` is a lower bound or an estimate, drawn anew at each call.

    Args:
        transform: from data to latent; a list is chained.
        base: the distribution of the latent.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Elementwise
        >>> flow = Flow([Elementwise(Affine(), (2,))], StandardNormal((2,)))
        >>> flow.log_prob(torch.zeros(3, 2)).shape, flow.sample(4).shape
        (torch.Size([3]), torch.Size([4, 2]))
    """

    def __init__(self, transform: Transform | Sequence[Transform], base: Distribution) -> None:
        super().__init__()
        self.transform = transform if isinstance(transform, Transform) else Chain(transform)
        self.base = base
        self.event_shape = self.transform.inverse_shape(base.event_shape)
        self.reparametrised = base.reparametrised
        self.light = self.transform.light and base.light
        self.config: dict[str, Any] | None = None

    @property
    def levels(self) -> int | None:
        """How many values the data's integers take, or ``None`` for a flow of continuous data."""
        parts = self.transform if isinstance(self.transform, Chain) else [self.transform]
        return next((int(part.levels) for part in parts if hasattr(part, "levels")), None)  # type: ignore[arg-type]

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Whether ``log_prob`` is the log-density itself and not a bound or an estimate."""
        return self.transform.exact and self.base.exact

    def log_prob(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return ``log p(x)`` in nats, of shape ``batch_shape``; a one-sample lower bound where not ``exact``.

        Raises:
            ShapeError: if ``x`` does not end in ``event_shape``, or the context does not fit.
        """
        self._check(x)
        return self(x, context, generator)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The work of :meth:`log_prob`, where wrappers of modules (compile, data parallel, hooks) find it."""
        z, log_det = apply(self.transform, x, context, generator)
        return self.base.log_prob(z, context) + log_det

    def encode(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Return the latent of ``x``, or all latents of a multi-scale flow, such that :meth:`decode` gives ``x``."""
        latents = self.latents(x, context, generator)
        return latents[0] if len(latents) == 1 else latents

    def decode(self, latents: Tensor | Sequence[Tensor | None], context: Tensor | None = None) -> Tensor:
        """Return the event of a latent, or of all latents of a multi-scale flow; of those factored out, any that is
        ``None`` is drawn given the ones behind it."""
        return self.from_latents([latents] if isinstance(latents, Tensor) else latents, context)

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        self._check(x)
        return self.base.latents(self.transform.encode(x, context, generator), context)

    def from_latents(self, latents: Sequence[Tensor | None], context: Tensor | None = None) -> Tensor:
        return self.transform.inverse(self.base.from_latents(latents, context), context)[0]

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set the data-dependent parts (ActNorm) from one batch, from the data to the base."""
        with torch.no_grad():
            self.base.initialise(self.transform.initialise(x, context), context)

    def importance_log_prob(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        importance_samples: int = 64,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return ``log 1/M sum_m p(x, u_m) / q(u_m | x)``: a bound that tightens as ``M`` grows.

        Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519. One draw is enough where the flow is exact.
        """
        if importance_samples < 1:
            raise UsageError(f"importance_samples expects at least 1, got {importance_samples}")
        if self.exact:
            return self.log_prob(x, context)
        draws = torch.stack([self.log_prob(x, context, generator) for _ in range(importance_samples)])
        return torch.logsumexp(draws, 0) - math.log(importance_samples)

    def bits_per_dim(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        importance_samples: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return ``-log2 p(x) / D`` per event; an upper bound on the bits where the flow is not ``exact``."""
        log_prob = self.importance_log_prob(x, context, importance_samples=importance_samples, generator=generator)
        return -log_prob / (math.log(2.0) * self.event_shape.numel())

    def condition(self, context: Tensor | None) -> ConditionedFlow:
        """Return ``p(x | context)`` as a ``torch.distributions.Distribution``."""
        return ConditionedFlow(self, context)

    def compile_blocks(self, **options: Any) -> None:
        """Compile each part by itself: equal layers share one compiled block, so the first call stays short.

        A flow of light parts alone (a MAF, say) is compiled as one, as calling each would take longer than its work.

        Args:
            options: for ``torch.compile``. Without any, a part is compiled anew for each shape that it meets (code
                for all shapes is slower, and the compiler cannot make it for channels-last images), up to 64 times.
        """
        options = {"dynamic": False, "recompile_limit": 64, **options}
        if self.light:
            self.compile(**tuned(options))
            return
        for block in self.transform.blocks():
            block.compile(**options)
        self.base.compile_blocks(**options)

    def _draw(
        self, batch_shape: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        z = self.base._draw(batch_shape, context, temperature, generator)
        return self.transform.inverse(z, context)[0]

    def _check(self, x: Tensor) -> None:
        if x.shape[max(x.dim() - len(self.event_shape), 0) :] != self.event_shape:
            raise ShapeError(
                f"the flow expects events of shape {tuple(self.event_shape)} behind any batch dimensions, got "
                f"{tuple(x.shape)}: reshape the data or build the flow for this shape"
            )
