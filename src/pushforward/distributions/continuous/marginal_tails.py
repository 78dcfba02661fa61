"""Independent dimensions of which some are heavy-tailed and the others normal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.distributions.continuous.student_t import draw_t, log1p_square, student_log_normaliser
from pushforward.errors import UsageError
from pushforward.numerics import bounded, finite_square, randn
from pushforward.spaces import Reals

MAX_LOG_CHANGE = 1.0
"""How far training may move the logarithm of a degree of freedom."""


class MarginalTails(Distribution):
    r"""Independent Student t's with degrees of freedom of their own, and normals where those are infinite:
    ``log p(x) = sum_d log t(x_d; nu_d)``.

    It is the base of a marginal tail-adaptive flow: a dimension's degrees of freedom are its tail index. They are
    learned, within a factor ``e`` of where they start.

    Args:
        degrees: of each dimension, positive; ``inf`` for a normal.

    Shapes: ``x`` is ``(..., D)``, its log-density ``(...)``.

    Raises:
        UsageError: unless there are positive numbers.

    Source: Laszkiewicz, Lederer, Fischer (2022), Marginal tail-adaptive normalizing flows, arXiv:2206.10311.

    Example:
        >>> base = MarginalTails([1.0, float("inf")])
        >>> round(base.log_prob(torch.zeros(2)).exp().item() * math.pi * math.sqrt(2 * math.pi), 5)
        1.0
    """

    heavy: Tensor
    start: Tensor
    like: Tensor

    def __init__(self, degrees: Sequence[float]) -> None:
        super().__init__()
        if not len(degrees) or not all(each > 0 for each in degrees):
            raise UsageError(f"MarginalTails expects positive degrees of freedom, got {list(degrees)}")
        self.support = Reals((len(degrees),))
        heavy = torch.tensor([math.isfinite(each) for each in degrees])
        self.register_buffer("heavy", heavy, persistent=False)
        start = [math.log(each) if math.isfinite(each) else 0.0 for each in degrees]
        self.register_buffer("start", torch.tensor(start), persistent=False)
        self.raw_log_degrees = nn.Parameter(torch.zeros(len(degrees)))

    def degrees(self) -> Tensor:
        """Return the degrees of freedom ``(D,)``, ``inf`` for normals."""
        return torch.where(self.heavy, self._finite_degrees(), torch.inf)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        nu = self._finite_degrees()
        student = -0.5 * (nu + 1.0) * log1p_square(x * torch.rsqrt(nu)) - student_log_normaliser(nu)
        return torch.where(self.heavy, student, -0.5 * finite_square(x) - LOG_SQRT_TWO_PI).sum(-1)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        nu = self._finite_degrees().expand(batch + self.event_shape)
        return temperature * torch.where(self.heavy, draw_t(nu, generator), randn(nu, nu.shape, generator))

    def _finite_degrees(self) -> Tensor:
        return torch.exp(self.start + bounded(self.raw_log_degrees, MAX_LOG_CHANGE))
