"""Generalised Pareto distributions, with an index that is learned for each dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.numerics import bounded, uniform_noise
from pushforward.spaces import Interval

MAX_LOG_SHAPE = 4.0
MAX_LOG_SCALE = 7.0


class GeneralisedPareto(Distribution):
    r"""Independent generalised Pareto distributions on the positive numbers, of learned shapes and scales,

    .. math:: P(X_d > x) = (1 + \lambda_d x / \sigma_d)^{-1 / \lambda_d}, \quad
        \log p(x) = -\sum_d \log \sigma_d + (1 + 1 / \lambda_d) \log(1 + \lambda_d x_d / \sigma_d).

    The tail index is ``1 / lambda``. They are what the exceedances over a high threshold follow. The logarithms of the
    scales stay within +-7, those of the shapes within +-4 of where they start. For tails on both sides put
    :class:`~pushforward.scalar.TailTransform` before a normal.

    Args:
        event_shape: the shape of one event.
        index: the tail index where all dimensions start.

    Shapes: ``x`` is ``batch_shape + event_shape``, its log-density ``batch_shape``.

    Raises:
        UsageError: unless ``index`` is positive and finite.

    Source: Pickands (1975), Annals of Statistics 3.

    Example:
        >>> base = GeneralisedPareto((2,), index=1.0)
        >>> base.log_prob(torch.tensor([1.0, 1.0])).exp().item(), base.indices().tolist()
        (0.0625, [1.0, 1.0])
    """

    def __init__(self, event_shape: Sequence[int], index: float = 5.0) -> None:
        super().__init__()
        if not 0 < index < math.inf:
            raise UsageError(f"GeneralisedPareto expects a positive finite tail index, got {index}")
        self.support = Interval(0.0, math.inf, event_shape)
        self.index = index
        self.raw_log_shape = nn.Parameter(torch.zeros(self.event_shape))
        self.raw_log_scale = nn.Parameter(torch.zeros(self.event_shape))

    def indices(self) -> Tensor:
        """Return the tail indices, of the event's shape."""
        return 1.0 / self._shape_and_log_scale()[0]

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        shape, log_scale = self._shape_and_log_scale()
        grown = torch.log1p(shape * (x * torch.exp(-log_scale)).clamp(max=1e-3 * torch.finfo(x.dtype).max))
        return -(log_scale + (1.0 + 1.0 / shape) * grown).sum(tuple(range(-len(self.event_shape), 0)))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        shape, log_scale = self._shape_and_log_scale()
        excess = -torch.log(uniform_noise(shape, batch + self.event_shape, generator))
        most = math.log(torch.finfo(shape.dtype).max) - MAX_LOG_SCALE - 5.0
        return temperature * torch.exp(log_scale) * torch.expm1((shape * excess).clamp(max=most)) / shape

    def _shape_and_log_scale(self) -> tuple[Tensor, Tensor]:
        shape = torch.exp(bounded(self.raw_log_shape, MAX_LOG_SHAPE)) / self.index
        return shape, bounded(self.raw_log_scale, MAX_LOG_SCALE)
