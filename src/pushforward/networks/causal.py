"""Causal networks: what they say of a variable depends on the variables before it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import Context, broadcast, check_context, vector_context
from pushforward.parts import ModulePart

Choose = Callable[[slice, Tensor], Tensor]
"""Told the slice of variables that is next and the outputs ``(n, rows, P)`` for them, returns what a network sees of
the values chosen, ``(n F, rows)``."""


class CausalNetwork(ModulePart):
    r"""What causal networks share: their sizes, the checks of what they are given, and two ways to be evaluated.

    A **causal network** maps ``(..., D F)`` to ``(..., P D)``: of ``D`` variables that are ``F`` numbers each (one as a
    rule, the cosine and the sine of an angle) the first of ``P`` outputs for each variable, then the second for each,
    and so on; the outputs for variable ``i`` depend on the variables before ``i`` alone. :func:`by_variable` sorts
    them.

    A subclass is causal by its make, at all weights: structures take its word for it.

    Args:
        inputs: the number of variables ``D``, in the order of their dependence.
        outputs: the number of outputs, a multiple ``P`` of the variables.
        context: features of the context, 0 for none; every output sees all of it.
        numbers: how many numbers a variable is, ``F``.

    Raises:
        UsageError: if ``outputs`` is no multiple of ``inputs``, or the context is no vector.

    Source: Bengio, Bengio (2000), Modeling High-Dimensional Discrete Data with Multi-Layer Neural Networks, NIPS 12.

    Example:
        >>> import pushforward as pf
        >>> network = pf.networks.MADE(3, 6)
        >>> isinstance(network, CausalNetwork), network(torch.zeros(5, 3)).shape
        (True, torch.Size([5, 6]))
    """

    def __init__(self, inputs: int, outputs: int, context: Context, numbers: int = 1) -> None:
        super().__init__()
        owner = type(self).__name__
        if inputs < 1 or outputs < 1 or outputs % inputs or numbers < 1:
            raise UsageError(
                f"{owner} expects outputs to be a positive multiple of inputs, and numbers of at least 1, "
                f"got inputs={inputs}, outputs={outputs}, numbers={numbers}"
            )
        self.inputs, self.outputs, self.numbers = inputs, outputs, numbers
        self.context = vector_context(context, owner)
        self.per_input = outputs // inputs

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(..., P D)`` for ``x`` of shape ``(..., D F)``."""

    @abstractmethod
    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> None:
        """Choose the variables in order, each given the outputs for it, which depend on those chosen before.

        ``choose(variables, outputs)`` is told the slice of variables that is next and the outputs ``(n, rows, P)`` for
        them; rows are the flattened ``batch``. It returns what the network sees of the values it chose,
        ``(n F, rows)``. Nothing is computed twice.
        """

    def checked(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Check the inputs and return them with the batch of the context.

        Raises:
            ShapeError: if the inputs are not ``D F`` numbers, or the context is missing, superfluous or misshapen.
        """
        owner = type(self).__name__
        if x.shape[-1:] != (self.inputs * self.numbers,):
            raise ShapeError(f"{owner} expects {self.inputs * self.numbers} inputs, got a tensor of {tuple(x.shape)}")
        check_context(context, self.context, owner)
        return x if context is None else broadcast(x, 1, context, 1, owner)


class _Sized(Protocol):
    inputs: int
    outputs: int
    numbers: int


def check_sizes(network: _Sized, inputs: int, outputs: int, owner: str, *, numbers: int = 1) -> None:
    """Raise :class:`UsageError` unless a causal network is made for so many inputs and outputs: evaluated in order, one
    of other sizes would answer for other variables, and nobody would notice.

    Example:
        >>> from pushforward.networks import MADE
        >>> check_sizes(MADE(3, 9), 3, 6, "Autoregressive")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pushforward.errors.UsageError: Autoregressive expects a causal network with inputs=3, outputs=6, ...
    """
    expected = {"inputs": inputs, "outputs": outputs, "numbers": numbers}
    got = {name: getattr(network, name) for name in expected}
    if got != expected:
        told, made = (", ".join(f"{name}={size}" for name, size in sizes.items()) for sizes in (expected, got))
        raise UsageError(f"{owner} expects a causal network with {told}, got {type(network).__name__} with {made}")
