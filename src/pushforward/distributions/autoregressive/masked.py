"""Masked networks as densities: each variable's distribution is decided by the variables before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.learned_normal import bounded_log_scale
from pushforward.distributions.continuous.mixture import check_components, mixture_log_prob, mixture_sample
from pushforward.distributions.discrete.mass import MassFunction, uniform_noise
from pushforward.errors import ShapeError, UsageError
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.masked.made import MADE, MaskedNetwork


class Conditional(Protocol):
    """The distribution of one number given parameters: a mass function, or a density of the same form."""

    num_parameters: int

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return ``log p(x)`` of ``x``'s shape; ``parameters`` is ``x.shape + (num_parameters,)``."""

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one value for each ``parameters[...]``."""


class AutoregressiveDistribution(Distribution):
    r"""Vectors, one variable after the other: ``log p(x) = sum_i log p(x_i; theta_i(x_<i, context))``.

    ``log_prob`` is one pass of a masked network, and so is the arithmetic of ``sample``.

    Args:
        features: the number of variables ``D``.
        conditional: the distribution of one variable given parameters.
        network: a factory of masked networks, called as ``network(D, D * P, context)``.
        context: features of the context, 0 for none.
        order: which variable comes first, second, ...; a permutation of ``0 ... D - 1``, by default in turn.

    Raises:
        UsageError: if ``order`` is no permutation, or the network is no masked one.
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Source: Germain, Gregor, Murray, Larochelle (2015), arXiv:1502.03509.

    Example:
        >>> base = AutoregressiveDistribution(3, BernoulliMass())
        >>> base.log_prob(torch.ones(2, 3)).exp()
        tensor([0.1250, 0.1250], grad_fn=<ExpBackward0>)
    """

    reparametrised = False
    order: Tensor
    inverse_order: Tensor

    def __init__(
        self,
        features: int,
        conditional: Conditional,
        network: NetworkFactory = MADE,
        context: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        order = torch.arange(features) if order is None else torch.as_tensor(order)
        if not torch.equal(order.sort().values, torch.arange(features)):
            raise UsageError(f"{type(self).__name__} expects an order of 0 ... {features - 1}, got {order.tolist()}")
        self.event_shape = torch.Size([features])
        self.conditional = conditional
        self.context = context
        self.network: MaskedNetwork = network(features, features * conditional.num_parameters, context)  # type: ignore[assignment]
        if not isinstance(self.network, MaskedNetwork):
            raise UsageError(f"{type(self).__name__} expects a masked network, got {type(self.network).__name__}")
        self.register_buffer("order", order)
        self.register_buffer("inverse_order", torch.argsort(order))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if x.shape[-1:] != self.event_shape:
            raise ShapeError(
                f"{type(self).__name__} expects events of shape {tuple(self.event_shape)}, got {tuple(x.shape)}"
            )
        ordered = x.index_select(-1, self.order).to(self.network.linears[0].weight.dtype)  # type: ignore[union-attr, arg-type]
        parameters = self.network(ordered, context).unflatten(-1, (-1, self.network.per_input))
        return self.conditional.log_prob(ordered, parameters).sum(-1)

    def _draw(
        self, batch_shape: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        def choose(inputs: slice, parameters: Tensor) -> Tensor:
            return self.conditional.sample(parameters, temperature=temperature, generator=generator)

        x = self.network.generate(choose, batch_shape, context)
        return x.index_select(0, self.inverse_order).t().reshape(*batch_shape, *self.event_shape)


class BernoulliMass(MassFunction):
    r"""A binary variable, ``P(1) = sigmoid(logit)``.

    Parameters per element: the logit.

    Example:
        >>> BernoulliMass().log_prob(torch.tensor([1.0]), torch.tensor([[0.0]])).exp()
        tensor([0.5000])
    """

    num_parameters = 1
    low, high = 0, 1

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        logit = parameters[..., 0]
        log_mass = F.logsigmoid(torch.where(x > 0.5, logit, -logit))
        return torch.where((x == 0) | (x == 1), log_mass, -torch.inf)

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        logit = parameters[..., 0]
        noise = uniform_noise(logit, logit.shape, generator)
        return (torch.logit(noise) * temperature < logit).to(logit.dtype)


class GaussianMixtureConditional:
    r"""A mixture of Gaussians of one number, ``p(x) = sum_k w_k N(x; mu_k, sigma_k)``.

    Parameters per element, ``3 * components`` in this order: the weights' logits, the means (added to quantiles of a
    normal, so that the components differ), the log-scales (bounded).

    Args:
        components: the number of components.

    Example:
        >>> GaussianMixtureConditional(2).log_prob(torch.zeros(4), torch.zeros(4, 6)).shape
        torch.Size([4])
    """

    def __init__(self, components: int = 5) -> None:
        check_components(components)
        self.components = components
        self.num_parameters = 3 * components
        levels = (torch.arange(components) + 0.5) / components
        self._spread = torch.special.ndtri(levels).tolist()

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        return mixture_log_prob(x[..., None], *self._components(parameters))

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        return mixture_sample(*self._components(parameters), temperature, generator)[..., 0]

    def _components(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, means, raw_log_scales = parameters.unflatten(-1, (3, self.components)).unbind(-2)
        means = means + torch.tensor(self._spread, dtype=means.dtype, device=means.device)
        return logits, means[..., None], bounded_log_scale(raw_log_scales)[..., None]


class BinaryMADE(AutoregressiveDistribution):
    r"""MADE, a density of binary vectors: ``P(x_i = 1) = sigmoid(l_i(x_<i))`` (Germain, Gregor, Murray, Larochelle
    2015, arXiv:1502.03509).

    Args:
        features, network, context, order: as in :class:`AutoregressiveDistribution`.

    Example:
        >>> BinaryMADE(3).sample(5).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        features: int,
        network: NetworkFactory = MADE,
        context: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(features, BernoulliMass(), network, context, order)


class RNADE(AutoregressiveDistribution):
    r"""RNADE, a density of real vectors whose conditionals are mixtures of Gaussians (Uria, Murray, Larochelle 2013,
    arXiv:1306.0186), computed by a masked network instead of the original's shared weights.

    Args:
        features, network, context, order: as in :class:`AutoregressiveDistribution`.
        components: the number of Gaussians in each conditional.

    Example:
        >>> RNADE(3).log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        features: int,
        components: int = 5,
        network: NetworkFactory = MADE,
        context: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(features, GaussianMixtureConditional(components), network, context, order)
