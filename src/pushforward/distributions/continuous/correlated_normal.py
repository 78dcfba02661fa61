"""Normal distributions whose correlations a network computes from the context."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.conditioning import base_context
from pushforward.distributions.continuous.learned_normal import bounded_log_scale
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.numerics import as_vectors, bounded, finite_square, randn, solve_triangular
from pushforward.spaces import Reals

MAX_CORRELATION = 20.0
"""How far the numbers may go that make the dimensions depend on each other; scales are bounded by ``exp(7)``."""


class _CorrelatedNormal(Distribution):
    """What the two share: the network, and the shapes."""

    def __init__(
        self, event_shape: Sequence[int], network: NetworkFactory | nn.Module, context: Context, outputs: int
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.support = Reals(event_shape)
        self.context = base_context(context, 1, owner)
        self.network = make_network(network, self.context.features_shape[0], outputs, None, owner)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self._log_density(as_vectors(x, self.event_shape), self.network(context))

    @abstractmethod
    def _log_density(self, x: Tensor, raw: Tensor) -> Tensor:
        """The log-density of vectors ``(..., D)``, given what the network emits."""


class ConditionalFullNormal(_CorrelatedNormal):
    r"""A normal whose mean and full covariance a network computes from the context, ``x = mu(c) + L(c) e``.

    ``L`` is the lower Cholesky factor of the covariance, its diagonal ``exp(s)`` with ``s`` within +-7, so that a draw
    and its log-density ``-sum_d (e_d^2 / 2 + s_d) - D log(2 pi) / 2`` are one product; scoring given events solves a
    triangular system. The copula of a normal and normal marginals are the same distribution.

    Args:
        event_shape: the shape of one event, ``D`` dimensions in all.
        network: a network factory, called as ``network(context, D (D + 1) + D, 0)``; of the square that the last
            ``D^2`` numbers are, the part below the diagonal is used.
        context: a number of features or a space of vectors.

    Raises:
        UsageError: if there is no context.

    Source: Williams (1996), Using neural networks to model conditional multivariate densities, Neural Computation 8,
    with the Cholesky factor of the precision.

    Example:
        >>> from pushforward.networks import MLP
        >>> base = ConditionalFullNormal((2,), MLP, context=3)
        >>> x, log_prob = base.rsample_and_log_prob(5, torch.ones(4, 3))
        >>> torch.allclose(base.log_prob(x, torch.ones(4, 3)), log_prob, atol=1e-5)
        True
    """

    def __init__(self, event_shape: Sequence[int], network: NetworkFactory | nn.Module, context: Context) -> None:
        size = Reals(event_shape).shape.numel()
        super().__init__(event_shape, network, context, size * (size + 2))

    def _log_density(self, x: Tensor, raw: Tensor) -> Tensor:
        mean, log_diagonal, factor = self._factor(raw)
        centred = (x - mean)[..., None]
        standard = solve_triangular(factor, centred, upper=False)[..., 0]
        return self._of_noise(standard, log_diagonal)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        mean, _, factor = self._factor(self.network(context))
        noise = temperature * randn(mean, mean.shape, generator)
        return self._of_factor(mean, factor, noise, batch)

    def draw_and_score(
        self, batch: torch.Size, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        mean, log_diagonal, factor = self._factor(self.network(context))
        noise = randn(mean, mean.shape, generator)
        return self._of_factor(mean, factor, noise, batch), self._of_noise(noise, log_diagonal)

    def _of_factor(self, mean: Tensor, factor: Tensor, noise: Tensor, batch: torch.Size) -> Tensor:
        return (mean + (factor @ noise[..., None])[..., 0]).reshape(batch + self.event_shape)

    def _factor(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The mean, the logarithms of ``L``'s diagonal, and ``L``."""
        size = self.event_shape.numel()
        mean, raw_log_diagonal, square = raw.split([size, size, size * size], -1)
        log_diagonal = bounded_log_scale(raw_log_diagonal)
        # Below the diagonal in units of the row's own scale: what is solved stays well conditioned.
        relative = bounded(square, MAX_CORRELATION).unflatten(-1, (size, size)).tril(-1)
        identity = torch.eye(size, dtype=raw.dtype, device=raw.device)
        return mean, log_diagonal, torch.exp(log_diagonal)[..., None] * (relative + identity)

    @staticmethod
    def _of_noise(noise: Tensor, log_diagonal: Tensor) -> Tensor:
        return (-0.5 * finite_square(noise) - log_diagonal - LOG_SQRT_TWO_PI).sum(-1)


class ConditionalFactorNormal(_CorrelatedNormal):
    r"""A normal whose covariance is diagonal plus one factor, ``x = mu(c) + sigma(c) e + a(c) e_0``: as the neural
    Gaussian copula of Wang and Wang has it, ``Sigma = diag(w) + a a^T`` with ``w = sigma^2``.

    With ``b = a / sigma``, the determinant is ``prod_d sigma_d^2 (1 + |b|^2)`` and the inverse ``I - b b^T / (1 +
    |b|^2)`` in units of ``sigma``, so that nothing is factorised: drawing and scoring cost what a diagonal normal's do.

    Args:
        event_shape: the shape of one event, ``D`` dimensions in all.
        network: a network factory, called as ``network(context, 3 D, 0)``.
        context: a number of features or a space of vectors.

    Raises:
        UsageError: if there is no context.

    Source: Wang, Wang (2019), Neural Gaussian Copula for Variational Autoencoder, arXiv:1909.03569.

    Example:
        >>> from pushforward.networks import MLP
        >>> ConditionalFactorNormal((2,), MLP, context=3).sample(5, torch.ones(4, 3)).shape
        torch.Size([5, 4, 2])
    """

    def __init__(self, event_shape: Sequence[int], network: NetworkFactory | nn.Module, context: Context) -> None:
        super().__init__(event_shape, network, context, 3 * Reals(event_shape).shape.numel())
        # At zero the factor's gradient is zero too: b and -b are the same distribution.
        self.offset = nn.Parameter(0.1 * torch.randn(self.event_shape.numel()))

    def _log_density(self, x: Tensor, raw: Tensor) -> Tensor:
        mean, log_scale, b = self._factor(raw)
        standard = (x - mean) * torch.exp(-log_scale)
        length = b.square().sum(-1)
        along = (standard * b).sum(-1) * torch.rsqrt(1.0 + length)
        # |s|^2 - (s . b)^2 / (1 + |b|^2) as a sum of squares, in which nothing cancels.
        root = 1.0 + torch.sqrt(1.0 + length)
        rest = standard - b * (along / root)[..., None]
        square = finite_square(rest).sum(-1)
        return -0.5 * (square + torch.log1p(length)) - (log_scale + LOG_SQRT_TWO_PI).sum(-1)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return self._drawn(self.network(context), temperature, generator).reshape(batch + self.event_shape)

    def draw_and_score(
        self, batch: torch.Size, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        raw = self.network(context)
        x = self._drawn(raw, 1.0, generator)
        return x.reshape(batch + self.event_shape), self._log_density(x, raw)

    def _drawn(self, raw: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
        mean, log_scale, b = self._factor(raw)
        own = randn(mean, mean.shape, generator)
        shared = randn(mean, mean[..., :1].shape, generator)
        return mean + temperature * torch.exp(log_scale) * (own + b * shared)

    def _factor(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The mean, ``log sigma``, and the factor in units of ``sigma``."""
        mean, raw_log_scale, b = raw.unflatten(-1, (3, -1)).unbind(-2)
        return mean, bounded_log_scale(raw_log_scale), bounded(b + self.offset, MAX_CORRELATION)
