"""One network for every order of the variables: which of them are known is an input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.mlp import MLP
from pushforward.parts import ModulePart


class DeepNADE(ModulePart):
    r"""The network of an order-agnostic distribution: from the known variables and the mask ``m`` that says which are
    known, ``theta = f(m x, m)``, the parameters of every variable that is not.

    Args:
        inputs: the number of variables ``D``.
        outputs: the number of outputs, a multiple ``P`` of the variables, sorted as those of :class:`CausalNetwork`.
        context: features of the context, 0 for none.
        hidden: widths of the hidden layers.
        activation: makes the activation between layers.

    Raises:
        UsageError: if ``outputs`` is no multiple of ``inputs``.
        ShapeError: if the context is missing or does not fit.

    Source: Uria, Murray, Larochelle (2014), arXiv:1310.1757.

    Example:
        >>> network = DeepNADE(3, 6, hidden=(16, 16))
        >>> network(torch.ones(5, 3), torch.tensor([True, False, True])).shape
        torch.Size([5, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int | Sequence[int] = (128, 128),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        if inputs < 1 or outputs < 1 or outputs % inputs:
            raise UsageError(
                f"DeepNADE expects outputs to be a positive multiple of inputs, got inputs={inputs}, outputs={outputs}"
            )
        space = vector_context(context, "DeepNADE")
        features = 0 if space is None else space.features_shape[0]
        self.layers = MLP(2 * inputs, outputs, features, hidden=hidden, activation=activation)

    def forward(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(..., P D)`` for ``x`` of shape ``(..., D)``, of which ``known`` says what is seen."""
        x, known = torch.broadcast_tensors(x, known)
        # Not a product: what is not known need not be a number.
        return self.layers(torch.cat([torch.where(known, x, 0.0), known.to(x.dtype)], -1), context)
