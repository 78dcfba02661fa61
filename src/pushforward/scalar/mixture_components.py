"""What mixtures are made of: the logistic and the normal distribution with both tails in log space."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


class Component(ABC):
    """What a mixture needs to know of the distribution that it mixes, in its standard form, symmetric around 0.

    Attributes:
        variance: of the standard form.
        logit_slope: the slope of ``logit(CDF(u))`` at 0.
    """

    variance: float
    logit_slope: float

    @abstractmethod
    def log_density(self, u: Tensor) -> Tensor:
        """Log-density."""

    @abstractmethod
    def log_cdf(self, u: Tensor) -> Tensor:
        """Log of the cumulative distribution function; that of ``-u`` is the log of the upper tail."""

    @abstractmethod
    def log_hazard(self, u: Tensor) -> Tensor:
        """Log of density over upper tail, without the cancellation that the difference of the two logs suffers."""

    @abstractmethod
    def largest_quantile(self, logit: Tensor) -> Tensor:
        """A number that the quantile at ``sigmoid(logit)`` does not exceed, for a logit of zero or more."""

    @abstractmethod
    def smallest_quantile(self, logit: Tensor) -> Tensor:
        """A number that is not above the quantile at ``sigmoid(logit)``, for a logit of zero or more."""


class LogisticComponent(Component):
    """The logistic distribution."""

    variance = math.pi**2 / 3.0
    logit_slope = 1.0

    def log_density(self, u: Tensor) -> Tensor:
        return logsigmoid(u) + logsigmoid(-u)

    def log_cdf(self, u: Tensor) -> Tensor:
        return logsigmoid(u)

    def log_hazard(self, u: Tensor) -> Tensor:
        return logsigmoid(u)

    def largest_quantile(self, logit: Tensor) -> Tensor:
        return logit

    def smallest_quantile(self, logit: Tensor) -> Tensor:
        return logit


class GaussianComponent(Component):
    """The normal distribution."""

    variance = 1.0
    logit_slope = 4.0 / math.sqrt(2.0 * math.pi)

    def log_density(self, u: Tensor) -> Tensor:
        return -0.5 * u * u - 0.5 * math.log(2.0 * math.pi)

    def log_cdf(self, u: Tensor) -> Tensor:
        # log_ndtr's value is right everywhere, but its derivative is not below -100 in float32.
        tail = self.log_density(u) + _log_mills(-u)
        return torch.where(u < -1.0, tail, torch.special.log_ndtr(u.clamp_min(-1.0)))

    def log_hazard(self, u: Tensor) -> Tensor:
        return torch.where(u > -1.0, -_log_mills(u), self.log_density(u) - torch.special.log_ndtr(-u.clamp_max(-1.0)))

    def largest_quantile(self, logit: Tensor) -> Tensor:
        # The upper tail is at most exp(-u^2 / 2) / 2.
        return torch.sqrt(2.0 * (softplus(logit) - math.log(2.0)).clamp_min(0.0))

    def smallest_quantile(self, logit: Tensor) -> Tensor:
        return torch.zeros_like(logit)


def _log_mills(u: Tensor) -> Tensor:
    """Log of the normal's upper tail over its density, for ``u`` of -1 or more (the value at -1 for smaller ones)."""
    # The derivative of erfcx cancels far out; there the asymptotic series is exact to 1e-13.
    far = 16.0
    near_value = torch.log(torch.special.erfcx(u.clamp(-1.0, far) / math.sqrt(2.0))) + 0.5 * math.log(0.5 * math.pi)
    above = u.clamp_min(far)
    square = 1.0 / (above * above)
    series = torch.ones_like(u)
    for odd in (13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0):
        series = 1.0 - odd * square * series
    return torch.where(u > far, torch.log(series) - torch.log(above), near_value)
