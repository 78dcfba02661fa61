"""Masked networks as densities: each variable's distribution is decided by the variables before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.distributions.autoregressive.mixtures import GaussianMixtureConditional
from pushforward.distributions.base import Distribution
from pushforward.distributions.discrete.mass import MassFunction
from pushforward.errors import UsageError
from pushforward.kernels.autoregressive import is_sweepable
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.masked.causal import check_network
from pushforward.networks.masked.made import MADE, by_variable
from pushforward.numerics import uniform_noise
from pushforward.spaces import Space


class Conditional(Protocol):
    """The distribution of one number given parameters, ``x ~ p(x; theta)``: a mass function, or a density of the same
    form.

    Shapes: element by element, ``x`` and its log-density are ``(...)``, parameters ``(..., P)``.

    Source: Uria, Cote, Gregor, Murray, Larochelle (2016), Neural Autoregressive Distribution Estimation,
    arXiv:1605.02226.

    Example:
        >>> import pushforward as pf
        >>> normal = pf.distributions.GaussianMixtureConditional(1)
        >>> normal.log_prob(torch.zeros(5), torch.zeros(5, normal.num_parameters)).shape
        torch.Size([5])
    """

    num_parameters: int

    @property
    def support(self) -> Space:
        """Where the number lives, of shape ``()``."""

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return ``log p(x)`` of ``x``'s shape; ``parameters`` is ``x.shape + (num_parameters,)``."""

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one value for each ``parameters[...]``."""


class AutoregressiveDistribution(Distribution):
    r"""Vectors, one variable after the other: ``log p(x) = sum_i log p(x_i; theta_i(x_<i, context))``.

    ``log_prob`` is one pass of the network, and with a masked network so is the arithmetic of ``sample``.

    Args:
        features: the number of variables ``D``.
        conditional: the distribution of one variable given parameters.
        network: a factory of causal networks, called as ``network(D, D * P, context)``, or a ready-made one; see
            :class:`MaskedNetwork`.
        context: a number of features or a space of vectors; 0 for none.
        order: which variable comes first, second, ...; a permutation of ``0 ... D - 1``, by default in turn.

    Raises:
        UsageError: if ``order`` is no permutation.
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Source: Germain, Gregor, Murray, Larochelle (2015), arXiv:1502.03509.

    Example:
        >>> base = AutoregressiveDistribution(3, BernoulliMass())
        >>> base.log_prob(torch.ones(2, 3)).exp()
        tensor([0.1250, 0.1250], grad_fn=<ExpBackward0>)
    """

    reparametrised = False
    like: Tensor
    order: Tensor
    inverse_order: Tensor

    def __init__(
        self,
        features: int,
        conditional: Conditional,
        network: NetworkFactory | nn.Module = MADE,
        context: Context = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        order = torch.arange(features) if order is None else torch.as_tensor(order)
        if not torch.equal(order.sort().values, torch.arange(features)):
            raise UsageError(f"{type(self).__name__} expects an order of 0 ... {features - 1}, got {order.tolist()}")
        owner = type(self).__name__
        self.conditional = conditional
        self.support = conditional.support.with_shape((features,))
        self.context = vector_context(context, owner)
        outputs = features * conditional.num_parameters
        self.network = make_network(network, features, outputs, self.context, owner)
        check_network(self.network, features, outputs, 1, self.context, owner)
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.register_buffer("order", order.clone())
        self.register_buffer("inverse_order", torch.argsort(order))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.log_conditionals(x, x, context).sum(-1)

    def log_conditionals(self, values: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return ``log p(values_i; theta_i(x_<i, context))``, of ``values``' shape: each variable's conditional at a
        value that need not be ``x_i``.

        Args:
            values: ``(..., D)``, with any dimensions before those of ``x``: several values in one pass of the network.
            x: ``(..., D)``, whose variables decide about those behind them.
            context: as :meth:`take_context` gives it, of the batch of ``x``.
        """
        variables = x.shape[-1]
        ordered = x.index_select(-1, self.order).to(self.like.dtype)
        parameters = by_variable(self.network(ordered, context), variables)
        asked = values.index_select(-1, self.order).to(self.like.dtype)
        log_prob = self.conditional.log_prob(asked, parameters.expand(*asked.shape, parameters.shape[-1]))
        return log_prob.index_select(-1, self.inverse_order)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        sample = partial(self.conditional.sample, temperature=temperature, generator=generator)
        if not is_sweepable(self.network):
            return self._in_turn(sample, batch, context)
        found: list[Tensor] = []

        def choose(variables: slice, parameters: Tensor) -> Tensor:
            found.append(sample(parameters))
            return found[-1]

        self.network.generate(choose, batch, context)  # type: ignore[operator]
        return torch.cat(found).index_select(0, self.inverse_order).t().reshape(*batch, *self.event_shape)

    def _in_turn(self, sample: Callable[[Tensor], Tensor], batch: torch.Size, context: Tensor | None) -> Tensor:
        """The definition of a draw, for any causal network: one pass of it for each variable."""
        x = self.like.new_zeros(*batch, *self.event_shape)
        for i in range(x.shape[-1]):
            drawn = sample(by_variable(self.network(x, context), x.shape[-1])[..., i, :])
            x = torch.cat([x[..., :i], drawn[..., None], x[..., i + 1 :]], -1)
        return x.index_select(-1, self.inverse_order)


class BernoulliMass(MassFunction):
    r"""A binary variable, ``P(1) = sigmoid(logit)``.

    Parameters per element: the logit.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 2.1.

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


class BinaryMADE(AutoregressiveDistribution):
    r"""MADE, a density of binary vectors: ``P(x_i = 1) = sigmoid(l_i(x_<i))`` (Germain, Gregor, Murray, Larochelle
    2015, arXiv:1502.03509).

    Args:
        features, network, context, order: as in :class:`AutoregressiveDistribution`.

    Shapes: ``x`` is ``(..., D)``, its log-mass ``(...)``.

    Raises:
        UsageError: for no feature, or an order that is none.
        ShapeError: if the input is of another shape, or the context is missing or does not fit.

    Example:
        >>> BinaryMADE(3).sample(5).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        features: int,
        network: NetworkFactory | nn.Module = MADE,
        context: Context = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(features, BernoulliMass(), network, context, order)


class RNADE(AutoregressiveDistribution):
    r"""RNADE, a density of real vectors whose conditionals are mixtures of Gaussians,
    ``p(x_i | x_<i) = sum_k w_ik N(x_i; mu_ik, sigma_ik)`` (Uria, Murray, Larochelle 2013, arXiv:1306.0186). The network
    is a masked one; with ``network=RescaledNADE`` it is the original's, whose weights are shared.

    Args:
        features, network, context, order: as in :class:`AutoregressiveDistribution`.
        components: the number of Gaussians in each conditional.

    Shapes: ``x`` is ``(..., D)``, its log-density ``(...)``.

    Raises:
        UsageError: for no feature or component, or an order that is none.
        ShapeError: if the input is of another shape, or the context is missing or does not fit.

    Example:
        >>> RNADE(3).log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        features: int,
        components: int = 5,
        network: NetworkFactory | nn.Module = MADE,
        context: Context = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(features, GaussianMixtureConditional(components), network, context, order)
