"""Masked autoencoders for distribution estimation: networks whose i-th outputs see only the inputs before i."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import pairwise, repeat
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import check_context
from pushforward.networks.masked.linear import MaskedLinear
from pushforward.networks.masked.sweep import FilledLayer, GrownLayer, plan_sweep

Map = Callable[[Tensor], Tensor]
Choose = Callable[[slice, Tensor], Tensor]


class MaskedNetwork(nn.Module, ABC):
    r"""What masked networks share: degrees, masks, and evaluation in parallel or in order.

    Input ``j`` has degree ``j + 1``, hidden units have degrees spread evenly up to ``D - 1`` and ascending within each
    layer, the outputs of input ``i`` have degree ``i``, and no unit sees a higher degree than its own. A context enters
    the first hidden layer, whose units of degree 0 exist only with a context.

    A subclass writes the network once, in :meth:`_evaluate`, in terms of "apply linear layer k". :meth:`forward`
    applies whole layers; :meth:`generate` applies the rows of one degree at a time, so that computing the outputs one
    input after the other costs the arithmetic of a single pass.
    """

    def __init__(
        self, inputs: int, outputs: int, context: int, widths: Sequence[int], activation: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        if inputs < 1 or outputs < 1 or outputs % inputs:
            raise UsageError(
                f"{type(self).__name__} expects outputs to be a positive multiple of inputs, "
                f"got inputs={inputs}, outputs={outputs}"
            )
        if not widths or min(widths) < 1:
            raise UsageError(f"{type(self).__name__} expects hidden widths of at least 1, got {tuple(widths)}")
        self.inputs, self.outputs, self.context = inputs, outputs, context
        self.per_input = outputs // inputs
        degrees = [
            list(range(1, inputs + 1)),
            *(hidden_degrees(width, inputs, context) for width in widths),
            [i for i in range(inputs) for _ in range(self.per_input)],
        ]
        self.linears = nn.ModuleList(MaskedLinear(before, after) for before, after in pairwise(degrees))
        nn.init.zeros_(self.linears[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.linears[-1].bias)  # type: ignore[arg-type]
        self.context_linear = nn.Linear(context, widths[0], bias=False) if context else None
        self.activation = activation()
        self.plan = plan_sweep(degrees, self.per_input)

    @abstractmethod
    def _evaluate(self, x: Tensor, linears: Sequence[Map], activation: Map, context_term: Tensor | None) -> Tensor:
        """Evaluate the network with the maps of its masked layers and the activation between them; ``context_term`` is
        what the context adds to the first layer."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(..., outputs)``, those of input 0 first, for ``x`` of shape ``(..., inputs)``."""
        return self._evaluate(x, self._masked_linears, self.activation, self._context_term(x.shape[:-1], context))

    def planes(self, x: Tensor, batch: torch.Size, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(outputs per input, inputs, rows)`` for ``x`` ``(inputs, rows)``.

        Rows are the flattened ``batch``. Behind all features they make what a map of each input reads long runs.
        """
        *hidden, last = self._masked_linears
        maps: list[Map] = [*(linear.columns for linear in hidden), partial(last.planes, per_input=self.per_input)]
        return self._evaluate(x, maps, self.activation, self._context_columns(batch, context))

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> Tensor:
        """Choose the inputs in order, each given the outputs for it, which depend on those chosen before.

        ``choose(inputs, outputs)`` returns the values ``(n, rows)`` of the inputs in the slice ``inputs``, given
        ``outputs`` ``(n, rows, outputs per input)``; rows are the flattened ``batch``. Returns all inputs
        ``(inputs, rows)``. The arithmetic is that of one pass of the network.
        """
        rows = batch.numel()
        context_term = self._context_columns(batch, context)
        kind = GrownLayer if torch.is_grad_enabled() else FilledLayer
        linears, plans = self._masked_linears, self.plan.layers
        # Not the module itself: to call one takes longer than what it does here.
        activation = self.activation.forward
        terms = repeat(None) if context_term is None else (context_term[units] for units in plans[0].units)
        chosen = [linears[0].weight.new_empty(0, rows)]
        with _recording_nothing():
            pairs = zip(linears, plans, strict=True)
            layers = [kind(linear, plan, rows) for linear, plan in pairs]
            for inputs, term in zip(self.plan.inputs, terms, strict=False):
                outputs = self._evaluate(chosen[-1], layers, activation, term)
                outputs = outputs.view(inputs.stop - inputs.start, self.per_input, rows)
                chosen.append(choose(inputs, outputs.transpose(1, 2)))
        return torch.cat(chosen)

    @property
    def _masked_linears(self) -> list[MaskedLinear]:
        return list(self.linears)  # type: ignore[arg-type]

    def _context_term(self, batch: torch.Size, context: Tensor | None) -> Tensor | None:
        check_context(context, self.context, -1, type(self).__name__)
        if self.context_linear is None or context is None:
            return None
        if torch.broadcast_shapes(batch, context.shape[:-1]) != batch:
            raise ShapeError(
                f"{type(self).__name__}: the context's batch {tuple(context.shape[:-1])} does not fit {tuple(batch)}"
            )
        return self.context_linear(context)

    def _context_columns(self, batch: torch.Size, context: Tensor | None) -> Tensor | None:
        """The context's term ``(width, rows)``, a column for each row of the flattened batch."""
        term = self._context_term(batch, context)
        if term is None:
            return None
        width = term.shape[-1]
        return term.expand(*batch, width).reshape(batch.numel(), width).t()


class MADE(MaskedNetwork):
    r"""A masked multilayer perceptron: output ``i`` depends on the inputs before ``i`` alone (Germain, Gregor, Murray,
    Larochelle 2015, arXiv:1502.03509).

    .. math:: h_1 = a((W_1 \odot M_1) x + V c + b_1), \quad h_l = a((W_l \odot M_l) h_{l-1} + b_l), \quad
        y = (W \odot M) h_L + b

    The last layer starts at zero. With fewer hidden units than inputs, neighbouring inputs share what they see.

    Args:
        inputs: the number of inputs ``D``, in the order of their dependence.
        outputs: the number of outputs, a multiple ``P`` of the inputs; the ``P`` outputs of input 0 come first.
        context: features of the context, 0 for none; every output sees all of it.
        hidden: widths of the hidden layers.
        activation: makes the activation between layers; it must act element by element.

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
    ) -> None:
        super().__init__(inputs, outputs, context, hidden, activation)

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
        inputs, outputs, context, activation: as in :class:`MADE`.
        hidden: the width of every layer.
        blocks: the number of residual blocks.

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
    ) -> None:
        super().__init__(inputs, outputs, context, [hidden] * (1 + 2 * blocks), activation)

    def _evaluate(self, x: Tensor, linears: Sequence[Map], activation: Map, context_term: Tensor | None) -> Tensor:
        first, *blocks, last = linears
        h = first(x)
        if context_term is not None:
            h = h + context_term
        for inner, outer in zip(blocks[::2], blocks[1::2], strict=True):
            h = h + outer(activation(inner(activation(h))))
        return last(activation(h))


def _recording_nothing() -> AbstractContextManager[Any]:
    """Where no gradient is wanted, operations as small as a sweep's spend a sixth of their time on what autograd might
    ask of them. What is computed inside must not leave as it is: gradients could not pass it later."""
    return nullcontext() if torch.is_grad_enabled() or torch.compiler.is_compiling() else torch.inference_mode()


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
