"""The standard logistic distribution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.distributions.base import Distribution
from pushforward.numerics import sum_event, uniform_noise
from pushforward.spaces import Reals


class StandardLogistic(Distribution):
    r"""Independent standard logistics, ``log p(x) = sum_d log sigma(x_d) + log sigma(-x_d)``.

    Its distribution function is the sigmoid; NICE uses it for its heavier tails (Dinh, Krueger, Bengio 2014,
    arXiv:1410.8516).

    Args:
        event_shape: the shape of one event.

    Raises:
        ShapeError: if the input does not end in ``event_shape``.

    Example:
        >>> base = StandardLogistic((2,))
        >>> round(base.log_prob(torch.zeros(2)).exp().item(), 4)
        0.0625
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.support = Reals(event_shape)
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return sum_event(logsigmoid(x) + logsigmoid(-x), len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        noise = uniform_noise(self.like, batch + self.event_shape, generator)  # type: ignore[arg-type]
        return temperature * torch.logit(noise)
