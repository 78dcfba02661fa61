"""At which times of their paths a velocity field is compared with the pairs of a batch.

The field that minimises the loss is the same for every distribution that leaves no time out, since at each time the
best velocity is a mean over the paths there; the distribution says at which times a network of limited size is accurate
first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import rand


class Times(ABC):
    """A distribution of times between 0, at the latent, and 1, at the data, by its quantile function.

    The times of a batch are the quantiles of evenly spaced probabilities, shifted together by one uniform number: each
    time has the distribution, and the loss of a batch varies less than with independent times (Kingma, Salimans, Poole,
    Ho 2021, Variational Diffusion Models, arXiv:2107.00630).
    """

    @abstractmethod
    def quantile(self, probability: Tensor) -> Tensor:
        """Return the time below which ``probability`` of the times lie."""

    def draw(self, like: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return ``count`` times of ``like``'s dtype and device.

        Example:
            >>> UniformTimes().draw(torch.zeros(()), 4).diff().remainder(1)
            tensor([0.2500, 0.2500, 0.2500])
        """
        # Half precision would know no more than 256 times, and not the quantiles of a normal.
        wide = torch.promote_types(like.dtype, torch.float32)
        shift = rand(like.new_empty((), dtype=wide), (), generator)
        even = torch.arange(count, dtype=wide, device=like.device) / max(1, count)
        return self.quantile((even + shift).remainder(1.0)).to(like.dtype)


@dataclass(frozen=True)
class UniformTimes(Times):
    """All times alike."""

    def quantile(self, probability: Tensor) -> Tensor:
        return probability


@dataclass(frozen=True)
class LogitNormalTimes(Times):
    r"""Times near the middle of the paths: ``log t / (1 - t)`` is normal, so that ``t / (1 - t)``, the ratio of data to
    noise, is log-normal.

    Attributes:
        mean: of the logit; above 0 nearer to the data.
        scale: standard deviation of the logit.

    Raises:
        UsageError: unless the scale is positive.

    Source: Esser et al. (2024), arXiv:2403.03206.

    Example:
        >>> LogitNormalTimes().quantile(torch.tensor([0.0, 0.5, 0.841345])).round(decimals=3)
        tensor([0.0000, 0.5000, 0.7310])
    """

    mean: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.scale < math.inf):
            raise UsageError(f"LogitNormalTimes expects a finite mean and a positive scale, got {self}")

    def quantile(self, probability: Tensor) -> Tensor:
        return torch.sigmoid(self.mean + self.scale * torch.special.ndtri(probability))


@dataclass(frozen=True)
class PowerTimes(Times):
    """Times of density ``(1 + exponent) t^exponent``: above 0 nearer to the data, below 0 nearer to the latents.

    Attributes:
        exponent: above -1.

    Raises:
        UsageError: if it is not.

    Source: Dax et al. (2023), arXiv:2305.17161.

    Example:
        >>> PowerTimes(1.0).quantile(torch.tensor([0.25, 1.0]))
        tensor([0.5000, 1.0000])
    """

    exponent: float = 1.0

    def __post_init__(self) -> None:
        if not -1 < self.exponent < math.inf:
            raise UsageError(f"PowerTimes expects an exponent above -1, got {self.exponent!r}")

    def quantile(self, probability: Tensor) -> Tensor:
        return probability.pow(1.0 / (1.0 + self.exponent))
