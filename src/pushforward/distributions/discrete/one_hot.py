"""Bases on one-hot categories, and the integers that stand for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution, Latents
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import Context, check_context, for_network, vector_context
from pushforward.networks.masked.one_hot import OneHotMADE
from pushforward.spaces import Categories, OneHot


def one_hot(index: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """``(...)`` integers as ``(..., classes)`` one-hot vectors.

    Example:
        >>> one_hot(torch.tensor([2]), 3, torch.float32)
        tensor([[0., 0., 1.]])
    """
    # By comparison: torch's own one_hot looks at the values, which neither vmap nor the compiler can.
    return (index.unsqueeze(-1) == torch.arange(classes, device=index.device)).to(dtype)


class OneHotCategorical(Distribution):
    r"""Independent categories with learned probabilities, ``log P(x) = sum_d x_d . log softmax(theta_d)``.

    Events are one-hot, ``(D, K)``. The log-mass is linear in ``x``, which is what a straight-through gradient needs.

    Args:
        variables: the number of variables ``D``.
        classes: the number of categories ``K``.

    Raises:
        ShapeError: if the input does not end in ``(D, K)``.

    Source: Tran, Vafa, Agrawal, Dinh, Poole (2019), Discrete Flows, arXiv:1905.10347.

    Example:
        >>> OneHotCategorical(2, 3).log_prob(torch.eye(3)[None, [0, 2]]).exp()
        tensor([0.1111], grad_fn=<ExpBackward0>)
    """

    reparametrised = False

    def __init__(self, variables: int, classes: int) -> None:
        super().__init__()
        self.support = OneHot(variables, classes)
        self.logits = nn.Parameter(torch.zeros(variables, classes))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return (x * torch.log_softmax(self.logits, -1)).sum((-2, -1))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        logits = self.logits.expand(*batch, *self.event_shape)
        return one_hot(gumbel_argmax(logits, temperature, generator), self.event_shape[1], logits.dtype)


class OneHotAutoregressiveCategorical(Distribution):
    r"""Categories one after the other, ``log P(x) = sum_d x_d . log softmax(theta_d(x_<d))``, or from the last to the
    first, ``theta_d(x_>d)``, in which order it complements an autoregressive flow (Tran et al. 2019, arXiv:1905.10347).

    Args:
        variables, classes, context, hidden: see :class:`OneHotMADE`.
        order: the order of the variables, a permutation of ``0 .. D - 1``; by default as they come.

    Shapes: ``x`` is ``(..., D, K)``, its log-mass ``(...)``.

    Raises:
        UsageError: for no variable, no class or no hidden unit.
        ShapeError: for an order that is none, an input of another shape, or a context that does not fit.

    Example:
        >>> OneHotAutoregressiveCategorical(2, 3).sample(5).shape
        torch.Size([5, 2, 3])
    """

    reparametrised = False
    order: Tensor
    inverse_order: Tensor

    def __init__(
        self,
        variables: int,
        classes: int,
        context: Context = 0,
        *,
        hidden: Sequence[int] = (64, 64),
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.support = OneHot(variables, classes)
        self.context = vector_context(context, "OneHotAutoregressiveCategorical")
        self.network = OneHotMADE(variables, classes, classes, for_network(self.context), hidden=hidden)
        index = torch.arange(variables) if order is None else torch.as_tensor(order)
        if not torch.equal(index.sort().values, torch.arange(variables)):
            raise ShapeError(f"Expected an order of 0 ... {variables - 1}, got {order}.")
        self.register_buffer("order", index)
        self.register_buffer("inverse_order", torch.argsort(index))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        ordered = x.index_select(-2, self.order)
        # Detached: what a category costs those behind it is no linear function of it, and its gradient misleads the
        # flow before this base.
        return (ordered * torch.log_softmax(self.network(ordered.detach(), context), -1)).sum((-2, -1))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        variables, classes = self.event_shape
        x = self.network.layers[0].weight.new_zeros(*batch, variables, classes)  # type: ignore[union-attr, operator]
        for variable in range(variables):
            logits = self.network(x, context)[..., variable, :]
            chosen = one_hot(gumbel_argmax(logits, temperature, generator), classes, x.dtype)
            x = torch.cat([x[..., :variable, :], chosen.unsqueeze(-2), x[..., variable + 1 :, :]], -2)
        return x.index_select(-2, self.inverse_order)


class FromOneHot(Distribution):
    r"""A distribution ``Q`` of one-hot categories ``(D, K)`` as one of the integers ``(D,)`` that number them,
    ``P(x) = Q(e_{x_1}, ..., e_{x_D})``.

    Values outside ``0 .. K - 1`` have no mass: they get ``-inf``.

    Args:
        one_hot: the distribution of one-hot events, for example a flow of them.

    Raises:
        UsageError: if its events are not of the shape ``(D, K)``.

    Source: Tran, Vafa, Agrawal, Dinh, Poole (2019), Discrete Flows, arXiv:1905.10347, whose categories are one-hot.

    Example:
        >>> FromOneHot(OneHotCategorical(2, 3)).log_prob(torch.tensor([[0, 2]])).exp()
        tensor([0.1111], grad_fn=<ExpBackward0>)
    """

    reparametrised = False

    def __init__(self, one_hot: Distribution) -> None:
        super().__init__()
        if len(one_hot.event_shape) != 2:
            raise UsageError(f"FromOneHot expects a distribution of one-hot events (D, K), got {one_hot.support}")
        self.one_hot = one_hot
        variables, self.classes = one_hot.event_shape
        self.support, self.context = Categories(self.classes, (variables,)), one_hot.context
        self.accuracy = one_hot.accuracy
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.one_hot.score(self._encode(x), context, generator)

    def take_context(self, context: Tensor | None) -> Tensor | None:
        # As it is given: the distribution inside sees to it.
        check_context(context, self.context, "FromOneHot")
        return context

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        given = self.one_hot.take_context(context)
        return tuple(self._decode(z) for z in self.one_hot.latents(self._encode(x), given, generator))

    def from_latents(
        self, latents: Latents, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        codes = [None if z is None else self._encode(z) for z in latents]
        return self._decode(self.one_hot.from_latents(codes, self.one_hot.take_context(context), generator))

    def composition(self) -> list[tuple[str, Distribution]]:
        return [("one_hot", self.one_hot)]

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        self.one_hot.initialise(self._encode(x), context)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return self._decode(self.one_hot.draw(batch, self.one_hot.take_context(context), temperature, generator))

    def _encode(self, x: Tensor) -> Tensor:
        return one_hot(x.long().clamp(0, self.classes - 1), self.classes, self.like.dtype)  # type: ignore[arg-type]

    def _decode(self, x: Tensor) -> Tensor:
        return x.argmax(-1).to(x.dtype)


class AutoregressiveCategorical(FromOneHot):
    r"""Categorical variables one after the other, ``P(x) = prod_d softmax(theta_d(x_<d))_(x_d)``, values
    ``0 .. classes - 1``.

    Args:
        variables: the number of variables ``D``.
        classes: the number of categories ``K``.
        context: features of the context, 0 for none.
        hidden: widths of the masked network's hidden layers.
        order: the order of the variables, by default as they come.

    Shapes: ``x`` is ``(..., D)``, its log-mass ``(...)``.

    Raises:
        UsageError: for no variable, no class or no hidden unit.
        ShapeError: for an order that is none, an input of another shape, or a context that does not fit.

    Source: Germain, Gregor, Murray, Larochelle (2015), MADE, arXiv:1502.03509, with categories for its binary
    variables.

    Example:
        >>> AutoregressiveCategorical(3, 4).log_prob(torch.tensor([[0, 3, 1]])).exp()
        tensor([0.0156], grad_fn=<ExpBackward0>)
    """

    def __init__(
        self,
        variables: int,
        classes: int,
        context: Context = 0,
        *,
        hidden: Sequence[int] = (64, 64),
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__(OneHotAutoregressiveCategorical(variables, classes, context, hidden=hidden, order=order))
