"""Networks that share their hidden weights between all conditionals, one cumulative sum instead of masks."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.recording import recording_nothing
from pushforward.networks.causal import CausalNetwork, Choose
from pushforward.networks.context import Context, check_context

LARGEST = 2**24
"""How many hidden units are computed at once: all variables of as many rows as this allows."""


class NADE(CausalNetwork):
    r"""The network of the neural autoregressive distribution estimator: one layer of hidden units for each variable,
    all with the same weights (Larochelle, Murray 2011; Uria, Cote, Gregor, Murray, Larochelle 2016, arXiv:1605.02226).

    .. math:: a_1 = c + U y, \quad a_{i+1} = a_i + W_i x_i, \quad h_i = s(a_i), \quad \theta_i = b_i + V_i h_i

    Every conditional has all ``H`` hidden units to itself, where a masked network divides them among the conditionals.
    All of them together cost ``O(D H)``, since one activation follows from that before by one variable's weights; so
    does a draw. It is a causal network, with inputs and outputs as in :class:`CausalNetwork`. ``V`` starts at zero.

    Args:
        inputs: the number of variables ``D``, in the order of their dependence.
        outputs: the number of outputs, a multiple ``P`` of the variables.
        context: features of the context ``y``, 0 for none; every output sees all of it.
        hidden: the hidden units ``H`` of each variable.
        activation: makes the activation ``s``; it must act element by element.
        numbers: how many numbers a variable is, ``F``.

    Raises:
        UsageError: if ``outputs`` is no multiple of ``inputs``, or there is no hidden unit.
        ShapeError: if the input is not ``(..., D F)``, or the context is missing or does not fit.

    Example:
        >>> NADE(3, 6, hidden=16)(torch.ones(5, 3)).shape
        torch.Size([5, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int = 128,
        activation: Callable[[], nn.Module] = nn.Sigmoid,
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers)
        if hidden < 1:
            raise UsageError(f"{type(self).__name__} expects at least one hidden unit, got hidden={hidden}")
        self.hidden = hidden
        self.weight = nn.Parameter(self._start_weights())
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.last_weight = nn.Parameter(torch.zeros(inputs, hidden, self.per_input))
        self.last_bias = nn.Parameter(torch.zeros(inputs, 1, self.per_input))
        features = 0 if self.context is None else self.context.features_shape[0]
        self.context_linear = nn.Linear(features, hidden, bias=False) if features else None
        self.activation = activation()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.checked(x, context)
        batch = x.shape[:-1]
        values = x.reshape(-1, self.inputs, self.numbers).transpose(0, 1)
        size = max(1, LARGEST // (self.inputs * self.hidden))
        parts = zip(values.split(size, 1), self._first_activation(batch, context).split(size), strict=True)
        outputs = torch.cat([self._all_conditionals(*part) for part in parts], 1)
        return outputs.permute(1, 2, 0).reshape(*batch, self.outputs)

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> None:
        check_context(context, self.context, type(self).__name__)
        activation = self._first_activation(batch, context)
        with recording_nothing():
            for i in range(self.inputs):
                variable = slice(i, i + 1)
                chosen = choose(variable, self._conditionals(activation[None], variable))
                activation = activation + self._terms(chosen.t()[None], variable)[0]

    def _start_weights(self) -> Tensor:
        """``(D, F, H)``, such that the activations of all variables together are about as large as one of them."""
        bound = 1 / math.sqrt(self.inputs * self.numbers)
        return torch.empty(self.inputs, self.numbers, self.hidden).uniform_(-bound, bound)

    def _first_activation(self, batch: torch.Size, context: Tensor | None) -> Tensor:
        """``c + U y``, a row for each of the flattened batch."""
        start = self.bias
        if self.context_linear is not None and context is not None:
            start = start + self.context_linear(context)
        return start.expand(*batch, self.hidden).reshape(math.prod(batch), self.hidden)

    def _terms(self, values: Tensor, variables: slice) -> Tensor:
        """What variables ``(n, rows, F)`` add to the activations of all behind them, ``(n, rows, H)``."""
        return torch.bmm(values, self.weight[variables])

    def _all_conditionals(self, values: Tensor, first_activation: Tensor) -> Tensor:
        """The outputs ``(D, rows, P)`` for all variables, of values ``(D, rows, F)``."""
        every = slice(0, self.inputs)
        terms = self._terms(values, every)
        activations = torch.cat([first_activation[None], terms[:-1]]).cumsum(0)
        return self._conditionals(activations, every)

    def _conditionals(self, activations: Tensor, variables: slice) -> Tensor:
        """The outputs ``(n, rows, P)`` for variables whose activations are ``(n, rows, H)``."""
        hidden = self._hidden_units(activations, variables)
        return torch.baddbmm(self.last_bias[variables], hidden, self.last_weight[variables])

    def _hidden_units(self, activations: Tensor, variables: slice) -> Tensor:
        return self.activation(activations)


class RescaledNADE(NADE):
    r"""NADE for real numbers, ``h_i = s(rho_i a_i)``: the activations grow with the variables seen, and a learned
    factor of each variable makes up for it (Uria, Murray, Larochelle 2013, arXiv:1306.0186).

    Args:
        inputs, outputs, context, hidden, numbers: as in :class:`NADE`.
        activation: makes the activation; a rectifier, which the authors found best.

    Shapes: ``x`` is ``(..., D F)``, the result ``(..., P D)``, by variable as in :class:`CausalNetwork`.

    Raises:
        UsageError: as :class:`NADE`.
        ShapeError: if the context is missing or does not have ``context`` features.

    Example:
        >>> from pushforward.distributions import RNADE
        >>> RNADE(3, network=RescaledNADE).log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int = 128,
        activation: Callable[[], nn.Module] = nn.ReLU,
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, hidden=hidden, activation=activation, numbers=numbers)
        self.scale = nn.Parameter(torch.ones(inputs, 1, 1))

    def _hidden_units(self, activations: Tensor, variables: slice) -> Tensor:
        return self.activation(self.scale[variables] * activations)


class CategoricalNADE(NADE):
    r"""NADE for categories: each category of each variable has weights of its own, ``a_{i+1} = a_i + W_{i, x_i}``.

    It sees the integers ``0 ... K - 1`` themselves, and looks their weights up: as with one-hot variables, without
    the factor ``K`` in what it costs.

    Args:
        inputs, outputs, context, hidden, activation: as in :class:`NADE`.
        classes: the number of categories ``K``.

    Shapes: ``x`` is ``(..., D)``, the result ``(..., P D)``, by variable as in :class:`CausalNetwork`.

    Raises:
        UsageError: as :class:`NADE`, and for fewer than one class.

    Source: Larochelle, Lauly (2012), A Neural Autoregressive Topic Model, NIPS 25, whose words have weights of their
    own.

    Example:
        >>> CategoricalNADE(3, 12, classes=4)(torch.tensor([[0.0, 3.0, 1.0]])).shape
        torch.Size([1, 12])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        classes: int,
        hidden: int = 128,
        activation: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        if classes < 1:
            raise UsageError(f"CategoricalNADE expects at least one class, got {classes}")
        self.classes = classes
        super().__init__(inputs, outputs, context, hidden=hidden, activation=activation)

    def _start_weights(self) -> Tensor:
        bound = 1 / math.sqrt(self.inputs)
        return torch.empty(self.inputs, self.classes, self.hidden).uniform_(-bound, bound)

    def _terms(self, values: Tensor, variables: slice) -> Tensor:
        category = values.round().long().clamp(0, self.classes - 1)
        return self.weight[variables].gather(1, category.expand(-1, -1, self.hidden))
