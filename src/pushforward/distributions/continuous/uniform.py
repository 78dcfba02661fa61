"""The uniform distribution on a box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.numerics import sum_event, uniform_noise
from pushforward.spaces import Interval


class Uniform(Distribution):
    r"""Independent uniforms on ``[low, high]``, ``log p(x) = -D log(high - low)`` inside the box.

    It is the base of CDF flows, whose transform is a distribution function. Outside the box the density is zero, so
    ``log_prob`` is ``-inf`` there, which is the truth; its gradient is zero on both sides. Samples lie strictly
    inside. A temperature below 1 shrinks the box around its middle.

    Args:
        event_shape: the shape of one event.
        low, high: the ends of the interval, the same for every dimension.

    Raises:
        UsageError: unless ``low < high`` and both are finite; for sampling at a temperature above 1, which would
            leave the box.

    Source: Johnson, Kotz, Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 26.

    Example:
        >>> base = Uniform((2,), 0.0, 2.0)
        >>> base.log_prob(torch.tensor([[0.5, 1.0], [0.5, 3.0]])).exp()
        tensor([0.2500, 0.0000])
    """

    def __init__(self, event_shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        if not (low < high and math.isfinite(high - low)):
            raise UsageError(f"Uniform expects finite low < high, got low={low} and high={high}")
        self.support = Interval(low, high, event_shape)
        self.low = low
        self.high = high
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        # 0 * x keeps the result attached to x, so that a chain in front of it still gets its (zero) gradient.
        return sum_event(0.0 * x - math.log(self.high - self.low), len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        if temperature > 1:
            raise UsageError(f"Uniform expects a temperature of at most 1, got {temperature}: more would leave its box")
        noise = uniform_noise(self.like, batch + self.event_shape, generator)  # type: ignore[arg-type]
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        return middle + temperature * half * (2.0 * noise - 1.0)
