"""Vectors one variable after the other, in any order: one network for all orders, and ensembles over some of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.distributions.autoregressive.masked import Conditional
from pushforward.distributions.base import Distribution
from pushforward.distributions.inputs import check_inside
from pushforward.errors import UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.masked.deep_nade import DeepNADE, check_known, check_order_agnostic
from pushforward.networks.masked.made import by_variable
from pushforward.numerics import rand
from pushforward.seeds import check_seed


class OrderAgnosticDistribution(Distribution):
    r"""EoNADE: an even mixture, over ``K`` orders ``o`` of the variables, of autoregressive distributions that share
    one network,

    .. math:: p(x) = \frac1K \sum_{o} p(x \mid o), \qquad
        p(x \mid o) = \prod_i p(x_{o_i}; \theta_{o_i}(x_{o_1}, \dots, x_{o_{i-1}})).

    The orders are drawn once, from ``seed``, and are part of the distribution, which is exact. Since the network knows
    all orders, any variables can be drawn given any others: :meth:`complete`.

    It is trained for all orders at once, by :class:`pushforward.training.OrderAgnosticLikelihood`, which costs one pass
    of the network; ``log_prob`` costs ``D`` passes for each order of the mixture.

    Args:
        features: the number of variables ``D``.
        conditional: the distribution of one variable given parameters.
        network: a factory of networks, called as ``network(D, D * P, context)``, or a ready-made one: a map of ``(x,
            known, context)`` that sees of ``x`` what is known alone, as :class:`DeepNADE` is.
        context: a number of features or a space of vectors; 0 for none.
        orders: how many orders are mixed, ``K``.
        seed: what they are drawn from.

    Raises:
        UsageError: if there is no order, or the network sees what is not known.
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Source: Uria, Murray, Larochelle (2014), arXiv:1310.1757.

    Example:
        >>> from pushforward.distributions import BernoulliMass
        >>> base = OrderAgnosticDistribution(3, BernoulliMass(), orders=2)
        >>> base.log_prob(torch.ones(2, 3)).exp()
        tensor([0.1250, 0.1250], grad_fn=<ExpBackward0>)
    """

    reparametrised = False
    like: Tensor
    orders: Tensor

    def __init__(
        self,
        features: int,
        conditional: Conditional,
        network: NetworkFactory | nn.Module = DeepNADE,
        context: Context = 0,
        orders: int = 8,
        seed: int = 0,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        if orders < 1:
            raise UsageError(f"{owner} expects at least one order, got orders={orders}")
        self.conditional = conditional
        self.support = conditional.support.with_shape((features,))
        self.context = vector_context(context, owner)
        self.network = make_network(network, features, features * conditional.num_parameters, self.context, owner)
        check_order_agnostic(self.network, features, self.context, owner)
        self.register_buffer("like", torch.zeros(()), persistent=False)
        generator = torch.Generator().manual_seed(check_seed("seed", seed))
        drawn = [torch.randperm(features, generator=generator) for _ in range(orders)]
        self.register_buffer("orders", torch.stack(drawn))

    def parameters_of(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the conditional's parameters of every variable given the known ones, ``(..., D, P)``."""
        return by_variable(self.network(x, known, context), self.event_shape[0])

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        orders = self.orders.view(-1, *[1] * (x.dim() - 1), x.shape[-1])
        in_orders = self._log_prob_in_order(x.to(self.like.dtype), orders, context)
        return torch.logsumexp(in_orders, 0) - math.log(len(self.orders))

    def log_prob_in_order(self, x: Tensor, order: Tensor, context: Tensor | None = None) -> Tensor:
        """Return ``log p(x | o)``, with orders ``(..., D)`` that broadcast with the events; ``-inf`` outside of the
        support.

        Raises:
            UsageError: if an order is no permutation of ``0 ... D - 1``.
            ShapeError: if ``x`` does not end in ``D``, or the context is missing or misshapen.
        """
        every = torch.arange(self.event_shape[0], device=order.device)
        if not torch.equal(order.sort(-1).values, every.expand_as(order)):
            raise UsageError(f"{type(self).__name__} expects orders of 0 ... {len(every) - 1}, got {order.tolist()}")
        x, given = self.check(x.to(self.like.dtype), context)
        x, inside = self.support.inside(x)
        return torch.where(inside, self._log_prob_in_order(x, order, given), -torch.inf)

    def random_order_log_prob(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        r"""Return an unbiased estimate, by one pass of the network, of the mean of ``log p(x | o)`` over all orders,

        .. math:: \frac{D}{D - n} \sum_{i \notin S} \log p(x_i; \theta_i(x_S)),

        with ``n`` even on ``0 ... D - 1`` and a set ``S`` of ``n`` variables, drawn anew for each event; ``-inf``
        outside of the support. By Jensen's inequality the mean is a lower bound of the log-density of the mixture of
        all orders.

        Raises:
            ShapeError: if ``x`` does not end in ``D``, or the context is missing or misshapen.
        """
        x, given = self.check(x.to(self.like.dtype), context)
        x, inside = self.support.inside(x)
        features = x.shape[-1]
        count = (rand(self.like, (*x.shape[:-1], 1), generator) * features).floor().clamp_max(features - 1)
        place = rand(self.like, x.shape, generator).argsort(-1).argsort(-1)
        known = place < count
        log_prob = self.conditional.log_prob(x, self.parameters_of(x, known, given))
        unknown = torch.where(known, 0.0, log_prob).sum(-1) * (features / (features - count.squeeze(-1)))
        return torch.where(inside, unknown, -torch.inf)

    def _log_prob_in_order(self, x: Tensor, order: Tensor, context: Tensor | None) -> Tensor:
        """``log p(x | o)`` of checked events of the support, the context as networks see it."""
        x, order = torch.broadcast_tensors(x, order)
        known = torch.zeros_like(x, dtype=torch.bool)
        total = x.new_zeros(x.shape[:-1])
        for variable in order.split(1, -1):
            parameters = _of(self.parameters_of(x, known, context), variable)
            total = total + self.conditional.log_prob(x.gather(-1, variable).squeeze(-1), parameters)
            known = known.scatter(-1, variable, True)
        return total

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        number = len(self.orders)
        chosen = (rand(self.like, batch, generator) * number).long().clamp_max(number - 1)
        x = self.like.new_zeros(*batch, *self.event_shape)
        known = torch.zeros_like(x, dtype=torch.bool)
        return self._draw_rest(x, known, self.orders[chosen], context, temperature, generator)

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        known: Tensor,
        context: Tensor | None = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw the variables of ``x`` that are not ``known``, in an order drawn for each event, given those that are.

        Args:
            x: events ``(..., D)``; what is not known need not be a number.
            known: booleans that broadcast with ``x``.
            context: as for :meth:`log_prob`.
            temperature: as for :meth:`sample`.
            generator: where the random numbers come from.

        Raises:
            ShapeError: if ``x`` does not end in ``D``, ``known`` does not broadcast with it, or the context is missing
                or misshapen.
            UsageError: if ``known`` is not boolean.
            DataError: if what is known lies outside of the support.

        Example:
            >>> from pushforward.distributions import BernoulliMass
            >>> base = OrderAgnosticDistribution(3, BernoulliMass())
            >>> base.complete(torch.ones(5, 3), torch.tensor([True, True, False]))[:, :2].mean()
            tensor(1.)
        """
        x, given = self.check(x.to(self.like.dtype), context)
        check_known(x, known, type(self).__name__)
        x, known = torch.broadcast_tensors(x, known)
        check_inside(torch.where(known, x, self.support.in_place_of(x)), self.support, "what is known")
        order = rand(self.like, x.shape, generator).argsort(-1)
        return self._draw_rest(x, known, order, given, temperature, generator)

    def _draw_rest(
        self,
        x: Tensor,
        known: Tensor,
        order: Tensor,
        context: Tensor | None,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Draw what is not known, one variable of each event after the other in the event's own order."""
        for variable in order.split(1, -1):
            parameters = _of(self.parameters_of(x, known, context), variable)
            drawn = self.conditional.sample(parameters, temperature=temperature, generator=generator).unsqueeze(-1)
            x = x.scatter(-1, variable, torch.where(known.gather(-1, variable), x.gather(-1, variable), drawn))
            known = known.scatter(-1, variable, True)
        return x


def _of(parameters: Tensor, variable: Tensor) -> Tensor:
    """Of parameters ``(..., D, P)`` those of one variable of each event, ``(..., 1)``."""
    index = variable.unsqueeze(-1).expand(*variable.shape, parameters.shape[-1])
    return parameters.expand(*variable.shape[:-1], *parameters.shape[-2:]).gather(-2, index).squeeze(-2)
