"""Normal distributions: the standard base, and the one that a network conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution, randn
from pushforward.errors import ShapeError
from pushforward.networks.factory import NetworkFactory

LOG_SQRT_TWO_PI = 0.5 * math.log(2 * math.pi)
FARTHEST = 1e15


class StandardNormal(Distribution):
    r"""Independent standard normals, ``log p(x) = -sum_d (x_d^2 + log 2 pi) / 2``.

    Args:
        event_shape: the shape of one event.

    Example:
        >>> base = StandardNormal((2,))
        >>> math.isclose(base.log_prob(torch.zeros(2)).item(), -math.log(2 * math.pi), rel_tol=1e-6)
        True
        >>> base.sample(5).shape
        torch.Size([5, 2])
    """

    light = True
    like: Tensor

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.event_shape = torch.Size(event_shape)
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        dims = tuple(range(-len(self.event_shape), 0))
        # Far out, where the density is zero to any precision, the square would overflow float32.
        return -0.5 * x.clamp(-FARTHEST, FARTHEST).square().sum(dims) - LOG_SQRT_TWO_PI * self.event_shape.numel()

    def _draw(
        self, batch_shape: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return temperature * randn(self.like, batch_shape + self.event_shape, generator)


class ConditionalNormal(Distribution):
    r"""Independent normals whose means and scales a network computes from the context.

    ``log p(x | c) = sum_d log N(x_d; mu_d(c), sigma_d(c))``. As the base of a split-off part it is the learned
    conditional prior of factor-out (Dinh, Sohl-Dickstein, Bengio 2016, arXiv:1605.08803; Kingma, Dhariwal 2018,
    arXiv:1807.03039). The log-scale is bounded to +-7 by a tanh.

    Args:
        event_shape: ``(D,)`` with a vector context ``(..., context)``, or ``(C, H, W)`` with an image context
            ``(..., context, H, W)``.
        network: a network factory, called as ``network(context, 2 * event_shape[0], 0)``.
        context: the number of features or channels of the context.

    Example:
        >>> from pushforward.networks import MLP
        >>> base = ConditionalNormal((2,), MLP, context=3)
        >>> base.sample(5, torch.ones(4, 3)).shape
        torch.Size([5, 4, 2])
    """

    def __init__(self, event_shape: Sequence[int], network: NetworkFactory, context: int) -> None:
        super().__init__()
        self.event_shape = torch.Size(event_shape)
        self.network: nn.Module = network(context, 2 * self.event_shape[0], 0)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        mean, log_scale = self._mean_and_log_scale(context)
        standard = (x - mean) * torch.exp(-log_scale)
        standard = standard.clamp(-FARTHEST, FARTHEST)
        dims = tuple(range(-len(self.event_shape), 0))
        return (-0.5 * standard.square() - log_scale - LOG_SQRT_TWO_PI).sum(dims)

    def _draw(
        self, batch_shape: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        mean, log_scale = self._mean_and_log_scale(context)
        return mean + temperature * torch.exp(log_scale) * randn(mean, mean.shape, generator)

    def _mean_and_log_scale(self, context: Tensor | None) -> tuple[Tensor, Tensor]:
        if context is None:
            raise ShapeError("ConditionalNormal expects a context, got none: pass context=")
        mean, raw = self.network(context).chunk(2, dim=-len(self.event_shape))
        return mean, 7.0 * torch.tanh(raw / 7.0)
