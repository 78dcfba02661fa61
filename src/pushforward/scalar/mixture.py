"""Mixtures of shifted and scaled components: densities, tails, and the logit of the CDF with its inverse."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.kernels.iteration import separate
from pushforward.numerics import bounded
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.mixture_components import Component
from pushforward.scalar.root import Increasing

MAX_LOG_SCALE = 5.0
"""Bound on a component's log-scale."""


class Mixture:
    """A mixture of shifted and scaled components: log-density, both tails, and the logit of the CDF with its inverse.

    Its ``3 * count`` parameters are, in this order, the weights' logits, the locations and the log-scales. At zeros the
    locations are spread a little, so that the components differ and can learn different things, and the common scale is
    such that the logit of the CDF is close to the identity.
    """

    def __init__(self, component: Component, count: int) -> None:
        check_counts("A mixture", components=count)
        self.component = component
        self.count = count
        self._spread = [2.0 * k / (count - 1) - 1.0 for k in range(count)] if count > 1 else [0.0]
        total = component.variance * component.logit_slope**2
        self._scale = component.logit_slope * math.sqrt(1.0 - sum(value**2 for value in self._spread) / count / total)

    def constrain(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, locations and log-scales, each ``(..., count)``."""
        logits, locations, log_scales = parameters.unflatten(-1, (3, self.count)).unbind(-2)
        spread = torch.tensor(self._spread, dtype=parameters.dtype, device=parameters.device)
        log_scales = bounded(log_scales, MAX_LOG_SCALE) + math.log(self._scale)
        return torch.log_softmax(logits, -1), locations + spread, log_scales

    def log_density(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        log_weights, locations, log_scales = constrained
        u = (x.unsqueeze(-1) - locations) * torch.exp(-log_scales)
        return torch.logsumexp(log_weights + self.component.log_density(u) - log_scales, -1)

    def log_cdf(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        log_weights, locations, log_scales = constrained
        u = (x.unsqueeze(-1) - locations) * torch.exp(-log_scales)
        return torch.logsumexp(log_weights + self.component.log_cdf(u), -1)

    def log_tails(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """``log F`` and ``log(1 - F)``."""
        lower, upper, _ = self._tails(x, constrained)
        return torch.logsumexp(lower, -1), torch.logsumexp(upper, -1)

    def logit_cdf_value(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """``log F - log(1 - F)``, which saturates nowhere."""
        lower, upper = self.log_tails(x, constrained)
        return lower - upper

    def logit_cdf(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The same and the log of its derivative."""
        lower, upper, u = self._tails(x, constrained)
        log_scales = constrained[2]
        logit = torch.logsumexp(lower, -1) - torch.logsumexp(upper, -1)
        # The derivative is density / F + density / (1 - F), both means of the components' own, weighted with their
        # shares of the tail: positive terms, where log density - log F - log(1 - F) would cancel far out.
        terms = torch.cat(
            [
                torch.log_softmax(lower, -1) + self.component.log_hazard(-u) - log_scales,
                torch.log_softmax(upper, -1) + self.component.log_hazard(u) - log_scales,
            ],
            -1,
        )
        return logit, torch.logsumexp(terms, -1)

    def _tails(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What each component adds to the lower and to the upper tail, as logarithms, and its standardised value."""
        log_weights, locations, log_scales = constrained
        u = (x.unsqueeze(-1) - locations) * torch.exp(-log_scales)
        return log_weights + self.component.log_cdf(u), log_weights + self.component.log_cdf(-u), u

    def logit_equation(
        self, logit: Tensor, constrained: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Increasing, Tensor, Tensor, Tensor]:
        """:meth:`logit_cdf`, what it should reach, and numbers below and above the root, for
        :func:`pushforward.scalar.root.solve`: the mixture's quantile lies between the components' own."""
        constrained = separate(constrained)
        with torch.no_grad():
            _, locations, log_scales = constrained
            size = logit.abs()
            inner, outer = self.component.smallest_quantile(size), self.component.largest_quantile(size)
            least = torch.where(logit < 0, -outer, inner).unsqueeze(-1)
            most = torch.where(logit < 0, -inner, outer).unsqueeze(-1)
            low = (locations + torch.exp(log_scales) * least).amin(-1)
            high = (locations + torch.exp(log_scales) * most).amax(-1)
        return lambda x: self.logit_cdf(x, constrained), logit, low, high
