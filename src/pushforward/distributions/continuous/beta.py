"""The Beta distribution on the unit interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.kernels.gamma import standard_gamma
from pushforward.numerics import sum_event
from pushforward.spaces import Interval


class Beta(Distribution):
    r"""Independent Beta distributions on ``(0, 1)``,
    ``log p(x) = sum_d (a - 1) log x_d + (b - 1) log(1 - x_d) - log B(a, b)``.

    It is the third base of the 1-D examples of the CS294-158 lectures (Abbeel et al.), there Beta(5, 5). Outside the
    interval ``log_prob`` is ``-inf``. A temperature keeps the mean and multiplies the standard deviation by about
    itself: samples at temperature ``T`` follow ``Beta(a / T^2, b / T^2)``.

    Args:
        event_shape: the shape of one event.
        alpha, beta: the two positive exponents ``a`` and ``b``.

    Raises:
        UsageError: unless both exponents are positive and finite.

    Source: Johnson, Kotz, Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 25.

    Example:
        >>> base = Beta((1,), 2.0, 2.0)
        >>> round(base.log_prob(torch.tensor([0.5])).exp().item(), 4)
        1.5
    """

    def __init__(self, event_shape: Sequence[int], alpha: float = 5.0, beta: float = 5.0) -> None:
        super().__init__()
        if not (0 < alpha < math.inf and 0 < beta < math.inf):
            raise UsageError(f"Beta expects positive finite exponents, got alpha={alpha} and beta={beta}")
        self.support = Interval(0.0, 1.0, event_shape)
        self.alpha = alpha
        self.beta = beta
        self.log_normaliser = math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta)
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        tiny = torch.finfo(x.dtype).tiny
        epsilon = torch.finfo(x.dtype).eps
        # The edges themselves have density 0 or infinity; they take the value of the nearest number inside.
        inside = x.clamp(tiny, 1.0 - epsilon / 2)
        level = (self.alpha - 1.0) * torch.log(inside) + (self.beta - 1.0) * torch.log1p(-inside) - self.log_normaliser
        return sum_event(level, len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        shape = batch + self.event_shape
        like: Tensor = self.like  # type: ignore[assignment]
        # A Gamma number with a small exponent underflows in float32 and would give 0 / 0.
        ones = torch.ones(shape, dtype=torch.float64, device=like.device)
        first = standard_gamma(self.alpha / temperature**2 * ones, generator=generator)
        second = standard_gamma(self.beta / temperature**2 * ones, generator=generator)
        epsilon = torch.finfo(like.dtype).eps
        return (first / (first + second)).to(like.dtype).clamp(torch.finfo(like.dtype).tiny, 1.0 - epsilon / 2)
