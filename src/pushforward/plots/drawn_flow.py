"""What a picture asks of a flow, and which densities can be drawn."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.diagnostics.subjects import flow_and_context, innermost_base
from pushforward.distributions import Distribution, StandardNormal, Uniform
from pushforward.errors import ShapeError, UsageError
from pushforward.flows import ConditionedFlow, Flow
from pushforward.transforms import Chain
from pushforward.transforms.chain import parts_in_turn

DRAWS_OF_A_BOUND = 4
"""For each point of a picture of a density."""

Density = Flow | ConditionedFlow | torch.distributions.Distribution | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class DrawnFlow:
    """A flow of vectors at one context, in single precision on the CPU, without gradients.

    Made by :meth:`of`. The flow that it was made from is left as it is.
    """

    flow: Flow
    context: Tensor | None

    @classmethod
    def of(cls, subject: object, features: int) -> DrawnFlow:
        """Take a flow, or a flow at a fixed context, whose events are vectors of ``features``.

        Raises:
            UsageError: for anything else, a conditional flow without its context among it.
            ShapeError: if its events have another shape, or there is more than one context.
        """
        flow, context = flow_and_context(subject)
        if tuple(flow.event_shape) != (features,):
            raise ShapeError(
                f"this picture expects a flow with events of shape ({features},), got {tuple(flow.event_shape)}"
            )
        if context is None and flow.context_shape is not None:
            raise UsageError(
                "this picture expects a flow at one context, got a conditional one: draw flow.condition(context)"
            )
        if context is not None:
            contexts = flow.condition(context).batch_shape
            if contexts.numel() != 1:
                raise ShapeError(
                    f"this picture expects a flow at one context, got contexts of shape {tuple(contexts)}: draw one of "
                    f"them at a time"
                )
            own = context.shape[len(contexts) :]
            context = context.detach().cpu().reshape(own)
            context = context.float() if context.is_floating_point() else context
        return cls(on_cpu(flow), context)

    @property
    def base(self) -> Distribution:
        """The distribution of the latents."""
        return innermost_base(self.flow)

    @property
    def latent_limits(self) -> tuple[float, float]:
        """The interval of each latent that holds nearly all of the base's mass."""
        base = self.base
        if isinstance(base, Uniform):
            margin = 0.002 * (base.high - base.low)
            return base.low + margin, base.high - margin
        return -3.0, 3.0

    @property
    def is_normal(self) -> bool:
        """Whether the latents are standard normal."""
        return isinstance(self.base, StandardNormal)

    def check_repeatable(self) -> None:
        """Refuse a flow whose inverse draws: a line of latents has no image under it, but a cloud.

        Raises:
            UsageError: if it is one.
        """
        drawing = [type(part).__name__ for part in parts_in_turn(self.flow.transform) if part.draws & Draws.INVERSE]
        if drawing:
            raise UsageError(
                f"this picture shows where a grid of latents goes, and {drawing[0]} draws on the way: draw the flow's "
                f"samples, or, in Python, its layers by plots.relaxation_2d"
            )

    def contexts(self, count: int) -> Tensor | None:
        """The context, once for each of ``count`` events."""
        return None if self.context is None else self.context.expand(count, *self.context.shape)

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density of events ``(n, D)``; of a bound several draws, so that it is less speckled."""
        if self.flow.accuracy is Accuracy.LOWER_BOUND:
            return self.flow.importance_log_prob(x, self.contexts(len(x)), importance_samples=DRAWS_OF_A_BOUND)
        return self.flow.log_prob(x, self.contexts(len(x)))

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw events ``(count, D)``."""
        return self.flow.sample(count, self.context, generator=generator)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Return the latents ``(n, D)`` of events.

        Raises:
            UsageError: if the flow has latents of several levels.
        """
        z = self.flow.encode(x, self.contexts(len(x)))
        if not isinstance(z, Tensor):
            raise UsageError("this picture expects a flow with one latent, got one with several levels")
        return z

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Return the events ``(n, D)`` of latents."""
        return self.flow.decode(z, self.contexts(len(z)))

    @torch.no_grad()
    def steps(self, x: Tensor) -> list[tuple[str, Tensor]]:
        """Return the title and the image of events ``(n, D)`` after each part of the flow's chain."""
        given = self.flow.take_context(self.contexts(len(x)))
        steps = []
        transform = self.flow.transform
        for index, part in enumerate(transform if isinstance(transform, Chain) else [transform]):
            x = part.encode(x, given if part.context is not None else None)
            steps.append((f"{index + 1}: {type(part).__name__}", x))
        return steps

    @torch.no_grad()
    def base_log_prob(self, z: Tensor) -> Tensor:
        """Return the base's log-density of latents ``(n, D)``."""
        given = self.flow.take_context(self.contexts(len(z)))
        return self.base.log_prob(z, given if self.base.context is not None else None)


def on_cpu(flow: Flow) -> Flow:
    """The flow, or a copy of it, in single precision on the CPU."""
    state = [value for value in flow.state_dict().values() if value.is_floating_point()]
    if all(value.dtype == torch.float32 and value.device.type == "cpu" for value in state):
        return flow
    return copy.deepcopy(flow).cpu().float()


def log_density(density: Density) -> Callable[[Tensor], Tensor]:
    """Return the log-density on the plane of a flow, of a distribution, or a function that is one already.

    Raises:
        ShapeError: if events are no vectors of two numbers, or there is a batch of them.
        UsageError: for what has no log-density.
    """
    if isinstance(density, Flow | ConditionedFlow):
        return DrawnFlow.of(density, 2).log_prob
    if isinstance(density, torch.distributions.Distribution):
        return _log_density_of_distribution(density)
    function = getattr(density, "log_prob", density)
    if not callable(function):
        raise UsageError(
            f"expected a flow, a distribution or a function from points (n, 2) to log-densities (n,), got "
            f"{type(density).__name__}"
        )
    return function


def _log_density_of_distribution(distribution: torch.distributions.Distribution) -> Callable[[Tensor], Tensor]:
    if tuple(distribution.event_shape) != (2,) or tuple(distribution.batch_shape) != ():
        raise ShapeError(
            f"this picture expects a distribution of events (2,), got events {tuple(distribution.event_shape)} in a "
            f"batch {tuple(distribution.batch_shape)}: torch.distributions.Independent makes a batch an event"
        )

    try:
        support = distribution.support
    except NotImplementedError:
        support = None
    if support is None:
        return distribution.log_prob

    def log_prob(x: Tensor) -> Tensor:
        # Distributions refuse points outside of their support, where the density is zero.
        inside = support.check(x)
        values = torch.full(x.shape[:-1], -math.inf)
        values[inside] = distribution.log_prob(x[inside]).to(values)
        return values

    return log_prob
