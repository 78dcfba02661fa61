"""Distributions of axes, and of rotations as unit quaternions."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.numerics import rand
from pushforward.spaces import Sphere


class Antipodal(Distribution):
    r"""A distribution on ``S^n`` made the same at antipodes, ``p(x) = (q(x) + q(-x)) / 2``: exact, at the price of
    scoring both.

    On ``S^3`` it is one of rotations: a unit quaternion and its negative turn alike. The density is with respect to the
    surface measure of ``S^3``, whose whole is ``2 pi^2``; with respect to the uniform distribution of rotations it is
    ``2 pi^2`` times as large.

    Args:
        distribution: ``q``, on a sphere; a flow too.

    Shapes: ``x`` is ``(..., n + 1)``, its log-density ``(...)``.

    Raises:
        UsageError: unless it is an exact distribution on a sphere.

    Source: Mardia, Jupp (2000), Directional Statistics, for axial data.

    Example:
        >>> from pushforward.distributions import VonMisesFisher
        >>> rotations = Antipodal(VonMisesFisher(3, 5.0))
        >>> q = rotations.sample(4)
        >>> torch.allclose(rotations.log_prob(q), rotations.log_prob(-q))
        True
    """

    def __init__(self, distribution: Distribution) -> None:
        super().__init__()
        if not isinstance(getattr(distribution, "support", None), Sphere):
            raise UsageError(f"Antipodal expects a distribution on a sphere, got {type(distribution).__name__}")
        if distribution.accuracy is not Accuracy.EXACT:
            raise UsageError("Antipodal expects an exact distribution: a sum of bounds or estimates is neither")
        self.distribution = distribution
        self.support, self.context = distribution.support, distribution.context
        self.reparametrised = distribution.reparametrised

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        both = [self.distribution(each, context, generator) for each in (x, -x)]
        return torch.logaddexp(*both) - math.log(2.0)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        x = self.distribution.draw(batch, context, temperature, generator)
        turned = rand(x, batch, generator)[..., None] < 0.5
        return torch.where(turned, -x, x)

    def take_context(self, context: Tensor | None) -> Tensor | None:
        return self.distribution.take_context(context)

    @property
    def taken_dims(self) -> int:
        return self.distribution.taken_dims

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        self.distribution.initialise(x, context)

    def composition(self) -> list[tuple[str, Any]]:
        return [("distribution", self.distribution)]
