"""Mixtures of Gaussians, learned or computed from a context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.conditioning import base_context
from pushforward.distributions.continuous.learned_normal import bounded_log_scale, log_normal
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.numerics import as_vectors, randn
from pushforward.spaces import Reals


def mixture_log_prob(x: Tensor, logits: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    r"""The log-density ``log sum_k w_k prod_d N(x_d; mu_kd, sigma_kd)`` of a mixture of diagonal Gaussians.

    Shapes: ``x`` ``(..., D)``, ``logits`` ``(..., K)``, ``mean`` and ``log_scale`` ``(..., K, D)``.

    Example:
        >>> same = torch.zeros(3, 2)
        >>> mixture_log_prob(torch.zeros(2), torch.zeros(3), same, same).exp() * 2 * torch.pi
        tensor(1.0000)
    """
    components = log_normal(x.unsqueeze(-2), mean, log_scale).sum(-1)
    return torch.logsumexp(torch.log_softmax(logits, -1) + components, -1)


def mixture_sample(
    logits: Tensor, mean: Tensor, log_scale: Tensor, temperature: float, generator: torch.Generator | None
) -> Tensor:
    """One event ``(..., D)`` for each ``logits[...]``; the temperature multiplies the scales and divides the logits."""
    chosen = gumbel_argmax(torch.log_softmax(logits, -1), temperature, generator)[..., None, None]
    chosen = chosen.expand(*chosen.shape[:-1], mean.shape[-1])
    mean, log_scale = mean.gather(-2, chosen).squeeze(-2), log_scale.gather(-2, chosen).squeeze(-2)
    return mean + temperature * torch.exp(log_scale) * randn(mean, mean.shape, generator)


class GaussianMixture(Distribution):
    r"""A learned mixture of ``K`` diagonal Gaussians, ``p(x) = sum_k w_k prod_d N(x_d; mu_kd, exp(s_kd))``.

    The weights start equal, the scales at 1 and the means apart from each other, so that the components can part.

    Args:
        event_shape: the shape of one event.
        components: the number of components ``K``.

    Raises:
        UsageError: for no component.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.9.

    Example:
        >>> base = GaussianMixture((2,), components=5)
        >>> base.log_prob(torch.zeros(4, 2)).shape, base.sample(3).shape
        (torch.Size([4]), torch.Size([3, 2]))
    """

    reparametrised = False

    def __init__(self, event_shape: Sequence[int], components: int = 5) -> None:
        super().__init__()
        check_components(components)
        self.support = Reals(event_shape)
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(spread_means(components, self.event_shape.numel()))
        self.raw_log_scale = nn.Parameter(torch.zeros(components, self.event_shape.numel()))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        flat = as_vectors(x, self.event_shape)
        return mixture_log_prob(flat, self.logits, self.mean, bounded_log_scale(self.raw_log_scale))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        logits = self.logits.expand(*batch, -1)
        mean = self.mean.expand(*batch, -1, -1)
        log_scale = bounded_log_scale(self.raw_log_scale).expand(*batch, -1, -1)
        return mixture_sample(logits, mean, log_scale, temperature, generator).reshape(batch + self.event_shape)


class ConditionalGaussianMixture(Distribution):
    r"""A mixture of diagonal Gaussians whose weights, means and scales a network computes from the context,
    ``p(x | c) = sum_k w_k(c) prod_d N(x_d; mu_kd(c), sigma_kd(c))``: a mixture density network (Bishop 1994).

    Learned offsets, apart from each other at first, are added to the network's means: a network that starts at zero
    would otherwise give equal components, which never part.

    Args:
        event_shape: the shape of one event.
        network: a network factory, called as ``network(context, K + 2 K D, 0)``.
        context: a number of features or a space of vectors.
        components: the number of components ``K``.

    Raises:
        UsageError: for no component.
        ShapeError: if the context is missing.

    Example:
        >>> from pushforward.networks import MLP
        >>> base = ConditionalGaussianMixture((2,), MLP, context=3, components=5)
        >>> base.sample(5, torch.ones(4, 3)).shape
        torch.Size([5, 4, 2])
    """

    reparametrised = False

    def __init__(
        self, event_shape: Sequence[int], network: NetworkFactory | nn.Module, context: Context, components: int = 5
    ) -> None:
        super().__init__()
        check_components(components)
        self.support = Reals(event_shape)
        self.components = components
        size = self.event_shape.numel()
        self.context = base_context(context, 1, "ConditionalGaussianMixture")
        inputs, outputs = self.context.features_shape[0], components * (1 + 2 * size)
        self.network = make_network(network, inputs, outputs, None, "ConditionalGaussianMixture")
        self.offset = nn.Parameter(spread_means(components, size))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return mixture_log_prob(as_vectors(x, self.event_shape), *self._components(context))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return mixture_sample(*self._components(context), temperature, generator).reshape(batch + self.event_shape)

    def _components(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        raw = self.network(context)
        logits, rest = raw[..., : self.components], raw[..., self.components :]
        mean, raw_log_scale = rest.unflatten(-1, (2, *self.offset.shape)).unbind(-3)
        return logits, mean + self.offset, bounded_log_scale(raw_log_scale)


def spread_means(components: int, size: int) -> Tensor:
    """Means ``(K, D)`` to start from: each dimension takes ``K`` quantiles of a normal, in an order of its own."""
    levels = (torch.arange(components) + 0.5) / components
    orders = torch.stack([torch.randperm(components) for _ in range(size)], -1)
    return torch.special.ndtri(levels)[orders]


def check_components(components: int) -> None:
    """Raise unless there is a component."""
    if components < 1:
        raise UsageError(f"A mixture expects at least one component, got {components}")
