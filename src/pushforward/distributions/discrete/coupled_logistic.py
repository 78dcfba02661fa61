"""Mixtures of discretized logistics of whole pixels, in which each channel moves the means of those behind it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.distributions.discrete.discretized_logistic import discretized_logistic_log_mass
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.errors import UsageError
from pushforward.numerics import uniform_noise
from pushforward.parts import Part
from pushforward.spaces import Integers


class CoupledLogisticMixture(Part):
    r"""A mixture of discretized logistics of a pixel's ``C`` channels in turn,

    .. math:: P(x) = \sum_k w_k \prod_c P\Bigl(x_c;\ \mu_{kc} + \sum_{b < c} a_{kcb}\,(x_b - m),\ s_{kc}\Bigr),

    where ``m`` is the middle of the levels: red moves the means of green and blue, and green those of blue. Edge values
    take the mass of the tails.

    Parameters per pixel, ``K (1 + 2 C + C (C - 1) / 2)``: for each component its weight's logit, ``C`` raw means (in
    halves of the range; the components start spread over it), ``C`` raw log-scales (bounded), and the raw
    coefficients, through a tanh, of channel 1 by 0, 2 by 0, 2 by 1 and so on.

    Args:
        channels: the number of channels ``C``.
        levels: how many values a channel takes.
        components: the number of components ``K``.

    Raises:
        UsageError: for no channel or component, or fewer than two levels.

    Source: Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, arXiv:1701.05517.

    Example:
        >>> pixel = CoupledLogisticMixture(3, 256, components=2)
        >>> pixel.num_parameters, pixel.log_prob(torch.zeros(5, 3), torch.zeros(5, 20)).shape
        (20, torch.Size([5]))
    """

    def __init__(self, channels: int, levels: int = 256, components: int = 10) -> None:
        if min(channels, components) < 1 or levels < 2:
            raise UsageError(
                f"CoupledLogisticMixture expects a channel, a component and two levels at least, got channels="
                f"{channels}, components={components}, levels={levels}"
            )
        self.channels, self.levels, self.components = channels, levels, components
        self.high, self.middle = levels - 1, (levels - 1) / 2
        self.least_log_scale = math.log(self.middle) - 7.0
        self.coefficients = channels * (channels - 1) // 2
        self.num_parameters = components * (1 + 2 * channels + self.coefficients)

    @property
    def support(self) -> Integers:
        """Pixels, ``C`` integers from 0."""
        return Integers(0, self.high, (self.channels,))

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return ``log P(x)``, ``(...)``, of pixels ``(..., C)`` given parameters ``(..., P)``."""
        log_weight, means, log_scales, coefficients = self.constrain(parameters)
        x = x.to(parameters.dtype).unsqueeze(-2)
        moved = means + torch.einsum("...kcb,...b->...kc", coefficients, x[..., 0, :] - self.middle)
        log_mass = discretized_logistic_log_mass(x, moved, log_scales, 0, self.high)
        return torch.logsumexp(log_weight + log_mass.sum(-1), -1)

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw pixels ``(..., C)``; the temperature multiplies the scales and divides the logits of the weights."""
        log_weight, *others = self.constrain(parameters)
        chosen = gumbel_argmax(log_weight, temperature, generator)
        means, log_scales, coefficients = (_component(each, chosen) for each in others)
        noise = torch.logit(uniform_noise(means, means.shape, generator))
        spread = temperature * torch.exp(log_scales) * noise
        drawn: list[Tensor] = []
        for channel in range(self.channels):
            moved = means[..., channel] + sum(
                coefficients[..., channel, before] * (value - self.middle) for before, value in enumerate(drawn)
            )
            # Added zero makes zeros of what rounds to -0.
            value = torch.round(moved + spread[..., channel]) + 0.0
            drawn.append(value.clamp(0, self.high))
        return torch.stack(drawn, -1)

    def constrain(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the log-weights ``(..., K)``, the means and log-scales ``(..., K, C)``, and the coefficients ``(...,
        K, C, C)``, zero but below the diagonal."""
        each = parameters.unflatten(-1, (self.components, -1))
        logits, means, log_scales, raw = each.split([1, self.channels, self.channels, self.coefficients], -1)
        index = torch.arange(self.components, dtype=parameters.dtype, device=parameters.device)[:, None]
        spread = 2.0 * (index + 0.5) / self.components - 1.0
        # Row c holds the coefficients of the channels before c, and then zeros.
        rows = torch.tanh(raw).split(list(range(self.channels)), -1)
        coefficients = torch.stack([F.pad(row, (0, self.channels - row.shape[-1])) for row in rows], -2)
        log_scales = (log_scales + math.log(self.middle) - 1.0).clamp(self.least_log_scale, self.least_log_scale + 25.0)
        return torch.log_softmax(logits[..., 0], -1), self.middle * (1.0 + means + spread), log_scales, coefficients


def _component(values: Tensor, chosen: Tensor) -> Tensor:
    """The values ``(..., K, ...)`` of the chosen components ``(...)``."""
    dims = values.dim() - chosen.dim() - 1
    index = chosen[(..., *[None] * (dims + 1))].expand(*chosen.shape, 1, *values.shape[chosen.dim() + 1 :])
    return values.gather(chosen.dim(), index).squeeze(chosen.dim())
