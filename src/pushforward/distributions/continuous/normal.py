"""Normal distributions: the standard base, and the one that a network conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.conditioning import base_context
from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.numerics import bounded, finite_square, randn, sum_event
from pushforward.spaces import Reals

LOG_SQRT_TWO_PI = 0.5 * math.log(2 * math.pi)
MAX_LOG_SCALE = 7.0


class StandardNormal(Distribution):
    r"""Independent standard normals, ``log p(x) = -sum_d (x_d^2 + log 2 pi) / 2``.

    Args:
        event_shape: the shape of one event.

    Raises:
        ShapeError: if the input does not end in ``event_shape``.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.

    Example:
        >>> base = StandardNormal((2,))
        >>> math.isclose(base.log_prob(torch.zeros(2)).item(), -math.log(2 * math.pi), rel_tol=1e-6)
        True
        >>> base.sample(5).shape
        torch.Size([5, 2])
    """

    like: Tensor

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.support = Reals(event_shape)
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return -0.5 * sum_event(finite_square(x), len(self.event_shape)) - LOG_SQRT_TWO_PI * self.event_shape.numel()

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return temperature * randn(self.like, batch + self.event_shape, generator)


class ConditionalNormal(Distribution):
    r"""Independent normals whose means and scales a network computes from the context.

    ``log p(x | c) = sum_d log N(x_d; mu_d(c), sigma_d(c))``. As the base of a split-off part it is the learned
    conditional prior of factor-out (Dinh, Sohl-Dickstein, Bengio 2016, arXiv:1605.08803; Kingma, Dhariwal 2018,
    arXiv:1807.03039). The log-scale is bounded to +-7.

    Args:
        event_shape: ``(D,)`` with a context that is a vector, or ``(C, H, W)`` with one that is an image.
        network: a network factory, called as ``network(context, 2 * event_shape[0], 0)``.
        context: a number of features, an image's shape or a space.

    Raises:
        UsageError: if there is no context.
        ShapeError: if the input or the context does not fit, or the context is missing.

    Example:
        >>> from pushforward.networks import MLP
        >>> base = ConditionalNormal((2,), MLP, context=3)
        >>> base.sample(5, torch.ones(4, 3)).shape
        torch.Size([5, 4, 2])
    """

    def __init__(self, event_shape: Sequence[int], network: NetworkFactory | nn.Module, context: Context) -> None:
        super().__init__()
        self.support = Reals(event_shape)
        self.context = base_context(context, len(self.event_shape), "ConditionalNormal")
        inputs = self.context.features_shape[0]
        self.network = make_network(network, inputs, 2 * self.event_shape[0], None, "ConditionalNormal")

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        mean, log_scale = self._mean_and_log_scale(context)
        standard = (x - mean) * torch.exp(-log_scale)
        return sum_event(-0.5 * finite_square(standard) - log_scale - LOG_SQRT_TWO_PI, len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        mean, log_scale = self._mean_and_log_scale(context)
        return mean + temperature * torch.exp(log_scale) * randn(mean, mean.shape, generator)

    def draw_and_score(
        self, batch: torch.Size, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        mean, log_scale = self._mean_and_log_scale(context)
        noise = randn(mean, mean.shape, generator)
        log_prob = sum_event(-0.5 * finite_square(noise) - log_scale - LOG_SQRT_TWO_PI, len(self.event_shape))
        return mean + torch.exp(log_scale) * noise, log_prob

    def _mean_and_log_scale(self, context: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, raw = self.network(context).chunk(2, dim=-len(self.event_shape))
        return mean, bounded(raw, MAX_LOG_SCALE)
