"""The uniform distribution on circles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.numerics import rand
from pushforward.spaces import Circle


class UniformCircles(Distribution):
    r"""Independent uniforms round circles, ``log p(x) = -D log period``.

    Every point is as good as every other, so that a temperature changes nothing.

    Args:
        circles: the circles, all of one period: ``Circle((D,))`` in radians, ``Circle((D,), 0.0, 24.0)`` in hours.

    Raises:
        UsageError: if this is not a circle's space.

    Source: Mardia, Jupp (2000), Directional Statistics.

    Example:
        >>> base = UniformCircles(Circle((2,), 0.0, 24.0))
        >>> round(base.log_prob(torch.tensor([1.0, 23.0])).exp().item() * 24**2, 4)
        1.0
    """

    def __init__(self, circles: Circle) -> None:
        super().__init__()
        if not isinstance(circles, Circle):
            raise UsageError(f"UniformCircles expects circles such as Circle((2,)), got {circles!r}")
        self.support: Circle = circles
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        dims = tuple(range(-len(self.event_shape), 0))
        # 0 * x keeps the result attached to x, so that a chain in front of it still gets its (zero) gradient.
        return (0.0 * x - math.log(self.support.period)).sum(dims)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        noise = rand(self.like, batch + self.event_shape, generator)  # type: ignore[arg-type]
        return self.support.low + self.support.period * noise
