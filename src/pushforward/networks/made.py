"""Masked autoencoders for distribution estimation: networks whose i-th outputs see only the inputs before i."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import check_context

LinearMap = Callable[[int, Tensor], Tensor]
Choose = Callable[[slice, Tensor], Tensor]


@dataclass(frozen=True)
class Step:
    """One step of a sweep: which inputs' parameters it yields, and which units of each layer it computes."""

    inputs: slice
    known: tuple[int, ...]
    rows: tuple[slice, ...]


class MaskedLinear(nn.Linear):
    r"""A linear layer in which a unit of degree ``m`` sees the units of degrees up to ``m``.

    ``y = (W * M) x + b`` with ``M[r, c] = out_degrees[r] >= in_degrees[c]``. Both lists of degrees are ascending, so
    that what a unit sees is a slice. Weights start uniform within one over the root of the units seen.

    Args:
        in_degrees, out_degrees: the degrees of the layer's inputs and outputs, ascending.

    Example:
        >>> layer = MaskedLinear([1, 2], [1, 1, 2])
        >>> layer.mask.int().tolist()
        [[1, 0], [1, 0], [1, 1]]
    """

    def __init__(self, in_degrees: Sequence[int], out_degrees: Sequence[int]) -> None:
        super().__init__(len(in_degrees), len(out_degrees))
        mask = torch.as_tensor(out_degrees)[:, None] >= torch.as_tensor(in_degrees)
        self.mask: Tensor
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        with torch.no_grad():
            bound = self.mask.sum(1, keepdim=True).clamp_min(1.0).rsqrt()
            self.weight.uniform_(-1.0, 1.0).mul_(bound)
            self.bias.uniform_(-1.0, 1.0).mul_(bound[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)

    def columns(self, x: Tensor, per_input: int = 1) -> Tensor:
        """The same for ``x`` with features first, ``(in, rows)``; of every ``per_input`` outputs in turn the first,
        then of each the second, and so on. To reorder the weights is free beside masking them."""
        weight = (self.weight * self.mask).unflatten(0, (-1, per_input)).transpose(0, 1).flatten(0, 1)
        return torch.addmm(self.bias.unflatten(0, (-1, per_input)).t().reshape(-1, 1), weight, x)


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
        self.steps = plan_steps(degrees, self.per_input)

    @abstractmethod
    def _evaluate(self, x: Tensor, linear: LinearMap, context_term: Tensor | None) -> Tensor:
        """Evaluate the network, where ``linear(k, h)`` applies masked layer ``k`` and ``context_term`` is what the
        context adds to the first layer."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(..., outputs)``, those of input 0 first, for ``x`` of shape ``(..., inputs)``."""
        return self._evaluate(x, lambda k, h: self.linears[k](h), self._context_term(x.shape[:-1], context))

    def planes(self, x: Tensor, batch: torch.Size, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(outputs per input, inputs, rows)`` for ``x`` ``(inputs, rows)``.

        Rows are the flattened ``batch``. Behind all features they make what a map of each input reads long runs.
        """

        def linear(k: int, h: Tensor) -> Tensor:
            layer: MaskedLinear = self.linears[k]  # type: ignore[assignment]
            return layer.columns(h, self.per_input if k == len(self.linears) - 1 else 1)

        outputs = self._evaluate(x, linear, self._context_columns(batch, context))
        return outputs.unflatten(0, (self.per_input, self.inputs))

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> Tensor:
        """Choose the inputs in order, each given the outputs for it, which depend on those chosen before.

        ``choose(inputs, outputs)`` returns the values ``(n, rows)`` of the inputs in the slice ``inputs``, given
        ``outputs`` ``(n, rows, outputs per input)``; rows are the flattened ``batch``. Returns all inputs
        ``(inputs, rows)``. The arithmetic is that of one pass of the network.
        """
        sweep = Sweep(self, batch.numel(), self._context_columns(batch, context))
        chosen = [self.linears[0].weight.new_empty(0, batch.numel())]  # type: ignore[operator, union-attr]
        for step in self.steps:
            chosen.append(choose(step.inputs, sweep.outputs(step, chosen[-1])))
        return torch.cat(chosen)

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


class Sweep:
    """A masked network evaluated in order: each step is given the inputs of the step before.

    Activations are kept features first, so that what is known so far is one contiguous slice and each step is a few
    small matrix products. Without gradients they live in one preallocated buffer per layer.
    """

    def __init__(self, network: MaskedNetwork, rows: int, context_term: Tensor | None) -> None:
        self.network = network
        linears: list[MaskedLinear] = list(network.linears)  # type: ignore[arg-type]
        self.layers = [(layer.weight, layer.bias[:, None]) for layer in linears]
        self.context_term = context_term
        like = self.layers[0][0]
        keep = Grown if torch.is_grad_enabled() else Filled
        self.histories = [keep(weight.shape[1], rows, like) for weight, _ in self.layers]

    def outputs(self, step: Step, previous: Tensor) -> Tensor:
        """Return the outputs ``(inputs of this step, rows, outputs per input)``, given the inputs ``(n, rows)`` of the
        step before (none at the first step)."""

        def linear(k: int, block: Tensor) -> Tensor:
            weight, bias = self.layers[k]
            known = self.histories[k].extended(block, step.known[k])
            return torch.addmm(bias[step.rows[k]], weight[step.rows[k], : step.known[k]], known)

        context_term = None if self.context_term is None else self.context_term[step.rows[0]]
        outputs = self.network._evaluate(previous, linear, context_term)
        return outputs.unflatten(0, (-1, self.network.per_input)).transpose(1, 2)


class Filled:
    """A layer's activations so far, in one buffer that is filled from the front."""

    def __init__(self, width: int, rows: int, like: Tensor) -> None:
        self.buffer = like.new_empty(width, rows)

    def extended(self, block: Tensor, known: int) -> Tensor:
        self.buffer[known - block.shape[0] : known] = block
        return self.buffer[:known]


class Grown:
    """A layer's activations so far, never overwritten, so that gradients pass through them."""

    def __init__(self, width: int, rows: int, like: Tensor) -> None:
        self.values = like.new_empty(0, rows)

    def extended(self, block: Tensor, known: int) -> Tensor:
        self.values = torch.cat([self.values, block])
        return self.values


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

    def _evaluate(self, x: Tensor, linear: LinearMap, context_term: Tensor | None) -> Tensor:
        h = linear(0, x)
        if context_term is not None:
            h = h + context_term
        for k in range(1, len(self.linears)):
            h = linear(k, self.activation(h))
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

    def _evaluate(self, x: Tensor, linear: LinearMap, context_term: Tensor | None) -> Tensor:
        h = linear(0, x)
        if context_term is not None:
            h = h + context_term
        last = len(self.linears) - 1
        for k in range(1, last, 2):
            inner = linear(k, self.activation(h))
            h = h + linear(k + 1, self.activation(inner))
        return linear(last, self.activation(h))


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


def plan_steps(degrees: Sequence[Sequence[int]], per_input: int) -> list[Step]:
    """Cut a sweep into steps: one for each degree that hidden units have, and one before the first if need be.

    Inputs between two such degrees see the same hidden units, so their outputs come in one step.
    """
    inputs = len(degrees[0])
    starts = sorted({0, *(degree for layer in degrees[1:-1] for degree in layer)})
    counts = [[sum(degree <= start for degree in layer) for start in starts] for layer in degrees[:-1]]
    steps = []
    for t, (start, stop) in enumerate(pairwise([*starts, inputs])):
        known = tuple(count[t] for count in counts)
        rows = [slice(count[t - 1] if t else 0, count[t]) for count in counts[1:]]
        outputs = slice(start * per_input, stop * per_input)
        steps.append(Step(slice(start, stop), known, (*rows, outputs)))
    return steps
