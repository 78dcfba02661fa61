"""The three terms by which a deep density model is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.distributions.continuous.beta import Beta
from pushforward.flows.flow import Flow
from pushforward.models.vectors.deep_density import decoder_and_base

LEAST_VARIANCE = 1e-4
"""Codes that all batches share would be fitted by an infinitely sharp Beta distribution."""


@dataclass(frozen=True)
class DeepDensity:
    r"""What a deep density model minimises, with codes ``z = g(x)`` of the encoder and the decoder ``f``:

    - ``divergence`` times ``sum_d KL(Beta(a_d, b_d) | Beta(alpha, beta))``, with the Beta distribution of the batch's
      mean and variance of each code;
    - ``invertibility`` times the sum of the squared log-condition numbers of the decoder's matrices;
    - ``reconstruction`` times the mean of ``sum_d KL(Bernoulli(x_d) | Bernoulli(f(g(x))_d))``.

    It is no likelihood. The encoder is not the decoder's inverse but comes near it, and nothing makes codes independent
    of each other.

    Attributes:
        divergence, invertibility, reconstruction: how much the terms count.

    Raises:
        UsageError: if the flow is none of a :class:`~pushforward.transforms.SigmoidalDecoder` run backwards onto a
            Beta base.

    Source: Rippel, Adams (2013), arXiv:1302.5125, section 3; the condition numbers are squared there too, and the
    weights of the terms are ours.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.deep_density(features=4, hidden=16)
        >>> pf.fit(flow, torch.rand(100, 4), objective=DeepDensity(), max_steps=5, progress=False).steps
        5
    """

    divergence: float = 1.0
    invertibility: float = 0.1
    reconstruction: float = 10.0

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        decoder_and_base(flow)

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        decoder, base = decoder_and_base(flow)
        x, _ = flow.check(x, context)
        z = decoder.read(x)
        return (
            self.divergence * divergence(z.reshape(-1, z.shape[-1]), base)
            + self.invertibility * decoder.log_condition_numbers().square().sum()
            + self.reconstruction * reconstruction(x, decoder.encode(z))
        )


def divergence(z: Tensor, base: Beta) -> Tensor:
    """Return ``sum_d KL(Beta(a_d, b_d) | base)``, the Beta distributions of the moments of codes ``(N, D)``.

    Example:
        >>> codes = Beta((1,), 2.0, 3.0).sample(100_000)
        >>> bool(divergence(codes, Beta((1,), 2.0, 3.0)) < 1e-3), bool(divergence(codes, Beta((1,), 3.0, 2.0)) > 0.1)
        (True, True)
    """
    mean = z.mean(0)
    product = mean * (1.0 - mean)
    variance = z.var(0, correction=0).clamp_min(LEAST_VARIANCE)
    total = (product / variance - 1.0).clamp_min(1e-2)
    fitted = torch.stack([mean * total, (1.0 - mean) * total])
    given = fitted.new_tensor([base.alpha, base.beta])[:, None]
    difference = _log_beta(given) - _log_beta(fitted)
    pulled = ((fitted - given) * (torch.digamma(fitted) - torch.digamma(fitted.sum(0)))).sum(0)
    return (difference + pulled).sum()


def reconstruction(x: Tensor, decoded: Tensor) -> Tensor:
    """Return the mean of ``sum_d KL(Bernoulli(x_d) | Bernoulli(decoded_d))``."""
    crossed = torch.nn.functional.binary_cross_entropy(decoded, x, reduction="none")
    own = torch.special.entr(x) + torch.special.entr(1.0 - x)
    return (crossed - own).sum(-1).mean()


def _log_beta(exponents: Tensor) -> Tensor:
    return torch.lgamma(exponents).sum(0) - torch.lgamma(exponents.sum(0))
