"""The discretized logistic distribution on the integers, and mixtures of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.distributions.discrete.mass import MassFunction, gumbel_argmax
from pushforward.errors import UsageError
from pushforward.numerics import log1mexp, uniform_noise


def discretized_logistic_log_mass(
    x: Tensor, mean: Tensor, log_scale: Tensor, low: int | None = None, high: int | None = None
) -> Tensor:
    r"""The log-mass of the integer ``x`` under a logistic distribution rounded to the nearest integer,

    .. math:: \log\bigl(\sigma(u) - \sigma(v)\bigr) = \log\sigma(u) + \log\sigma(-v) + \log(1 - e^{-1/s}),
        \quad u = \frac{x - \mu + 1/2}{s},\ v = \frac{x - \mu - 1/2}{s}.

    The three terms on the right are all negative, so nothing cancels: the result keeps its relative accuracy in both
    tails and where the mass is close to 1. With bounds, the edge values take the mass of the tails beyond them, and
    values outside get ``-inf``.

    Shapes: ``x``, ``mean`` and ``log_scale`` broadcast. Source: Kingma et al. 2016, arXiv:1606.04934; Salimans et al.
    2017, arXiv:1701.05517 (edge values).

    Example:
        >>> zero = torch.zeros(())
        >>> round(discretized_logistic_log_mass(zero, zero, zero).exp().item(), 4)
        0.2449
    """
    inverse_scale = torch.exp(-log_scale)
    difference = x - mean
    below = logsigmoid((difference + 0.5) * inverse_scale)
    above = logsigmoid((0.5 - difference) * inverse_scale)
    inside = log1mexp(inverse_scale)
    if low is None and high is None:
        return below + above + inside
    at_low = torch.zeros_like(x, dtype=torch.bool) if low is None else x <= low
    at_high = torch.zeros_like(x, dtype=torch.bool) if high is None else x >= high
    nothing = torch.zeros_like(below)
    mass = torch.where(at_high, nothing, below) + torch.where(at_low, nothing, above)
    mass = mass + torch.where(at_low | at_high, nothing, inside)
    outside = torch.zeros_like(at_low)
    if low is not None:
        outside = outside | (x < low)
    if high is not None:
        outside = outside | (x > high)
    return mass.masked_fill(outside, -math.inf)


class DiscretizedLogisticMixture(MassFunction):
    r"""A mixture of ``components`` discretized logistics, ``P(x) = sum_k w_k (F_k(x + 1/2) - F_k(x - 1/2))``.

    Parameters per element: ``K`` logits of the weights, ``K`` raw means, ``K`` raw log-scales (the logits are left
    out for one component). A mean is ``center + unit (raw + o_k)`` and a log-scale ``log(unit) + raw``, where the
    offsets ``o_k`` spread the components between -1 and 1, so that equal parameters still give different components.
    Log-scales are kept above ``min_log_scale`` and below ``min_log_scale + 25``.

    Args:
        components: the number of components ``K``.
        center, unit: the middle and the order of magnitude of the data, e.g. 127.5 and 128 for bytes.
        low, high: bounds of the values, whose edges take the tails' mass; None for no bound.
        min_log_scale: the narrowest component; -7 is a spike on one integer.

    Shapes: element by element, ``x`` and its log-mass are ``(...)``, parameters ``(..., P)`` with ``P = 3 K``, or 2 for
    one component.

    Raises:
        UsageError: for no component, a unit that is not positive, or ``low > high``.

    Source: Hoogeboom et al. 2019, Integer Discrete Flows, arXiv:1905.07376.

    Example:
        >>> mass = DiscretizedLogisticMixture(2, unit=3.0)
        >>> x = torch.arange(-200.0, 201.0)
        >>> round(mass.log_prob(x, torch.zeros(401, 6)).exp().sum().item(), 5)
        1.0
    """

    def __init__(
        self,
        components: int = 1,
        *,
        center: float = 0.0,
        unit: float = 1.0,
        low: int | None = None,
        high: int | None = None,
        min_log_scale: float = -7.0,
    ) -> None:
        if components < 1 or not unit > 0:
            raise UsageError(f"Expected components >= 1 and unit > 0, got components={components} and unit={unit}.")
        if low is not None and high is not None and low > high:
            raise UsageError(f"Expected low <= high, got low={low} and high={high}.")
        self.components = components
        self.center = center
        self.unit = unit
        self.low = low
        self.high = high
        self.min_log_scale = min_log_scale
        self.num_parameters = 2 if components == 1 else 3 * components

    def constrain(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the log-weights, means and log-scales, each of shape ``(..., K)``, of raw ``(..., P)`` parameters."""
        count = self.components
        if count == 1:
            raw_mean, raw_log_scale = parameters.chunk(2, -1)
            log_weight = torch.zeros_like(raw_mean)
        else:
            logit, raw_mean, raw_log_scale = parameters.chunk(3, -1)
            log_weight = torch.log_softmax(logit, -1)
            index = torch.arange(count, dtype=parameters.dtype, device=parameters.device)
            raw_mean = raw_mean + (2.0 * index / (count - 1) - 1.0)
        log_scale = (raw_log_scale + math.log(self.unit)).clamp(self.min_log_scale, self.min_log_scale + 25.0)
        return log_weight, self.center + self.unit * raw_mean, log_scale

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        log_weight, mean, log_scale = self.constrain(parameters)
        value = x.to(parameters.dtype).unsqueeze(-1)
        log_mass = discretized_logistic_log_mass(value, mean, log_scale, self.low, self.high)
        if self.components == 1:
            return log_mass.squeeze(-1)
        return torch.logsumexp(log_weight + log_mass, -1)

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw values; the temperature multiplies the scales and divides the logits of the weights."""
        log_weight, mean, log_scale = self.constrain(parameters)
        chosen = gumbel_argmax(log_weight, temperature, generator).unsqueeze(-1)
        mean, log_scale = mean.gather(-1, chosen).squeeze(-1), log_scale.gather(-1, chosen).squeeze(-1)
        noise = torch.logit(uniform_noise(mean, mean.shape, generator))
        # Added zero makes zeros of what rounds to -0.
        value = torch.round(mean + temperature * torch.exp(log_scale) * noise) + 0.0
        return value if self.low is None and self.high is None else value.clamp(self.low, self.high)
