"""Means of normal distributions, under a normal or a uniform prior, and of a mixture."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from pushforward.inference.simulation.tasks.task import cube

_DEVIATION = math.sqrt(0.1)


class GaussianLinear:
    """``x ~ N(theta, 0.1 I)`` in ten dimensions, under the prior ``N(0, 0.1 I)``.

    Source: task T.1 of Lueckmann et al. (2021), arXiv:2101.04653.

    Example:
        >>> GaussianLinear()(torch.zeros(3, 10)).shape
        torch.Size([3, 10])
    """

    def __init__(self) -> None:
        self.prior: Distribution = Independent(Normal(torch.zeros(10), _DEVIATION), 1)

    def __call__(self, theta: Tensor) -> Tensor:
        return theta + _DEVIATION * torch.randn_like(theta)


class GaussianLinearUniform(GaussianLinear):
    """``x ~ N(theta, 0.1 I)`` in ten dimensions, under a uniform prior on ``[-1, 1]^10``.

    Source: task T.2 of Lueckmann et al. (2021), arXiv:2101.04653.

    Example:
        >>> GaussianLinearUniform().prior.sample((3,)).shape
        torch.Size([3, 10])
    """

    def __init__(self) -> None:
        self.prior = cube(10, 1.0)


class GaussianMixture:
    """``x ~ 1/2 N(theta, I) + 1/2 N(theta, 0.01 I)`` in two dimensions, under a uniform prior on ``[-10, 10]^2``.

    Source: Sisson, Fan, Tanaka (2007), PNAS 104; task T.7 of Lueckmann et al. (2021), arXiv:2101.04653.

    Example:
        >>> GaussianMixture()(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
    """

    def __init__(self) -> None:
        self.prior = cube(2, 10.0)

    def __call__(self, theta: Tensor) -> Tensor:
        scale = torch.where(torch.rand(len(theta), 1) < 0.5, 1.0, 0.1)
        return theta + scale * torch.randn_like(theta)
