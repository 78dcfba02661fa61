"""Masked autoencoders for distribution estimation: networks whose i-th outputs see only the inputs before i."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise, repeat

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.recording import recording_nothing
from pushforward.networks.causal import CausalNetwork, Choose
from pushforward.networks.context import check_context
from pushforward.networks.masked.linear import MaskedLinear
from pushforward.networks.masked.sweep import FilledLayer, GrownLayer, plan_sweep

Map = Callable[[Tensor], Tensor]


class MaskedNetwork(CausalNetwork):
    r"""What masked networks share: degrees, masks, and evaluation in parallel or in order.

    In this kind of :class:`CausalNetwork` variable ``j`` has degree ``j + 1``, hidden units have degrees spread evenly
    up to ``D - 1`` and ascending within each layer, the outputs for variable ``i`` have degree ``i``, and no unit sees
    a higher degree than its own. A context enters the first hidden layer, whose units of degree 0 exist only with a
    context.

    A subclass writes the network once, in :meth:`_evaluate`, in terms of "apply linear layer k". :meth:`forward`
    applies whole layers; :meth:`generate` applies the rows of one degree at a time, so that computing the outputs one
    variable after the other costs the arithmetic of a single pass.

    Shapes: ``x`` is ``(..., D F)``, the result ``(..., P D)``, by variable as in :class:`CausalNetwork`.

    Raises:
        UsageError: if the outputs are no multiple of the inputs, or a layer has no unit.
        ShapeError: if the context is missing or does not have ``context`` features.

    Source: Germain, Gregor, Murray, Larochelle (2015), MADE, arXiv:1502.03509.

    Example:
        >>> network = MADE(3, 3)
        >>> isinstance(network, MaskedNetwork)
        True
        >>> torch.func.jacrev(network)(torch.randn(3)).triu().any().item()
        False
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int,
        widths: Sequence[int],
        activation: Callable[[], nn.Module],
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers)
        if not widths or min(widths) < 1:
            raise UsageError(f"{type(self).__name__} expects hidden widths of at least 1, got {tuple(widths)}")
        features = 0 if self.context is None else self.context.features_shape[0]
        degrees = [
            [variable + 1 for variable in range(inputs) for _ in range(numbers)],
            *(hidden_degrees(width, inputs, features) for width in widths),
            [i for i in range(inputs) for _ in range(self.per_input)],
        ]
        self.linears = nn.ModuleList(MaskedLinear(before, after) for before, after in pairwise(degrees))
        nn.init.zeros_(self.linears[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.linears[-1].bias)  # type: ignore[arg-type]
        self.context_linear = nn.Linear(features, widths[0], bias=False) if features else None
        self.activation = activation()
        self.plan = plan_sweep(degrees, self.per_input)

    @abstractmethod
    def _evaluate(self, x: Tensor, linears: Sequence[Map], activation: Map, context_term: Tensor | None) -> Tensor:
        """Evaluate the network with the maps of its masked layers and the activation between them; ``context_term`` is
        what the context adds to the first layer."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.checked(x, context)
        batch = x.shape[:-1]
        # Features first and the rows behind them: what is done to all elements runs through long contiguous rows. The
        # results, turned back, are views.
        *hidden, last = self._masked_linears
        maps: list[Map] = [*(linear.columns for linear in hidden), partial(last.planes, per_input=self.per_input)]
        columns = x.reshape(-1, x.shape[-1]).t()
        outputs = self._evaluate(columns, maps, self.activation, self._context_columns(batch, context))
        return outputs.flatten(0, 1).t().reshape(*batch, self.outputs)

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> None:
        rows = math.prod(batch)
        check_context(context, self.context, type(self).__name__)
        context_term = self._context_columns(batch, context)
        kind = GrownLayer if torch.is_grad_enabled() else FilledLayer
        linears, plans = self._masked_linears, self.plan.layers
        # Not the module itself: to call one takes longer than what it does here.
        activation = self.activation.forward
        terms = repeat(None) if context_term is None else (context_term[units] for units in plans[0].units)
        chosen = linears[0].weight.new_empty(0, rows)
        with recording_nothing():
            pairs = zip(linears, plans, strict=True)
            layers = [kind(linear, plan, rows) for linear, plan in pairs]
            for variables, term in zip(self.plan.inputs, terms, strict=False):
                outputs = self._evaluate(chosen, layers, activation, term)
                outputs = outputs.view(variables.stop - variables.start, self.per_input, rows)
                chosen = choose(variables, outputs.transpose(1, 2))

    @property
    def _masked_linears(self) -> list[MaskedLinear]:
        return list(self.linears)  # type: ignore[arg-type]

    def _context_columns(self, batch: torch.Size, context: Tensor | None) -> Tensor | None:
        """The context's term ``(width, rows)``, a column for each row of the flattened batch."""
        if self.context_linear is None or context is None:
            return None
        term = self.context_linear(context)
        width = term.shape[-1]
        return term.expand(*batch, width).reshape(math.prod(batch), width).t()


def by_variable(outputs: Tensor, variables: int) -> Tensor:
    """Sort a causal network's outputs ``(..., P D)`` by variable, ``(..., D, P)``.

    Example:
        >>> by_variable(torch.tensor([1, 2, 3, 10, 20, 30]), 3)
        tensor([[ 1, 10],
                [ 2, 20],
                [ 3, 30]])
    """
    return outputs.unflatten(-1, (-1, variables)).transpose(-1, -2)


class MADE(MaskedNetwork):
    r"""A masked multilayer perceptron: output ``i`` depends on the inputs before ``i`` alone (Germain, Gregor, Murray,
    Larochelle 2015, arXiv:1502.03509).

    .. math:: h_1 = a((W_1 \odot M_1) x + V c + b_1), \quad h_l = a((W_l \odot M_l) h_{l-1} + b_l), \quad
        y = (W \odot M) h_L + b

    The last layer starts at zero. With fewer hidden units than inputs, neighbouring inputs share what they see.

    Args:
        inputs: the number of variables ``D``, in the order of their dependence.
        outputs: the number of outputs, a multiple ``P`` of the variables, in the order of :class:`MaskedNetwork`.
        context: features of the context, 0 for none; every output sees all of it.
        hidden: widths of the hidden layers.
        activation: makes the activation between layers; it must act element by element.
        numbers: how many numbers a variable is, ``F``.

    Raises:
        UsageError: if ``outputs`` is no multiple of ``inputs``, or a width is below 1.
        ShapeError: if the context is missing or does not fit.

    Example:
        >>> network = MADE(3, 6, hidden=(16, 16))
        >>> network(torch.ones(5, 3)).shape
        torch.Size([5, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        *,
        hidden: Sequence[int] = (128, 128),
        activation: Callable[[], nn.Module] = nn.ReLU,
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, hidden, activation, numbers)

    def _evaluate(self, x: Tensor, linears: Sequence[Map], activation: Map, context_term: Tensor | None) -> Tensor:
        first, *others = linears
        h = first(x)
        if context_term is not None:
            h = h + context_term
        for linear in others:
            h = linear(activation(h))
        return h


class ResidualMADE(MaskedNetwork):
    r"""A masked network of residual blocks, ``h + W_2 a(W_1 a(h))``, all of one width (Nash, Durkan 2019,
    arXiv:1904.05626; masks of Germain et al. 2015, arXiv:1502.03509).

    Args:
        inputs, outputs, context, activation, numbers: as in :class:`MADE`.
        hidden: the width of every layer.
        blocks: the number of residual blocks.

    Shapes: ``x`` is ``(..., D F)``, the result ``(..., P D)``, by variable as in :class:`CausalNetwork`.

    Raises:
        UsageError: if the outputs are no multiple of the inputs, or the width is below 1.
        ShapeError: if the context is missing or does not have ``context`` features.

    Example:
        >>> ResidualMADE(3, 6, context=2, hidden=16)(torch.ones(5, 3), torch.ones(5, 2)).shape
        torch.Size([5, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        *,
        hidden: int = 128,
        blocks: int = 2,
        activation: Callable[[], nn.Module] = nn.ReLU,
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, [hidden] * (1 + 2 * blocks), activation, numbers)

    def _evaluate(self, x: Tensor, linears: Sequence[Map], activation: Map, context_term: Tensor | None) -> Tensor:
        first, *blocks, last = linears
        h = first(x)
        if context_term is not None:
            h = h + context_term
        for inner, outer in zip(blocks[::2], blocks[1::2], strict=True):
            h = h + outer(activation(inner(activation(h))))
        return last(activation(h))


def hidden_degrees(width: int, inputs: int, context: int) -> list[int]:
    """Spread ``width`` ascending degrees evenly from the lowest useful one to ``inputs - 1``.

    Example:
        >>> hidden_degrees(6, 4, 0), hidden_degrees(6, 4, 2), hidden_degrees(3, 8, 0)
        ([1, 1, 2, 2, 3, 3], [0, 0, 1, 2, 2, 3], [1, 4, 7])
    """
    lowest = 0 if context or inputs == 1 else 1
    count = inputs - lowest
    if width >= count:
        return [lowest + k * count // width for k in range(width)]
    return [lowest + round(k * (count - 1) / max(width - 1, 1)) for k in range(width)]
