"""One network for every order of the variables: which of them are known is an input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.masked.causal import moved
from pushforward.networks.mlp import MLP
from pushforward.parts import ModulePart
from pushforward.spaces import Space


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
        UsageError: if ``outputs`` is no multiple of ``inputs``, a width is below 1, or what is known is not boolean.
        ShapeError: if the input is not ``(..., D)``, or the context is missing or does not fit.

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
        widths = (hidden, hidden) if isinstance(hidden, int) else tuple(hidden)
        if not widths or min(widths) < 1:
            raise UsageError(f"DeepNADE expects hidden widths of at least 1, got {hidden}")
        space = vector_context(context, "DeepNADE")
        features = 0 if space is None else space.features_shape[0]
        self.inputs = inputs
        self.layers = MLP(2 * inputs, outputs, features, hidden=widths, activation=activation)

    def forward(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(..., P D)`` for ``x`` of shape ``(..., D)``, of which ``known`` says what is seen."""
        if x.shape[-1:] != (self.inputs,):
            raise ShapeError(f"DeepNADE expects {self.inputs} inputs, got a tensor of {tuple(x.shape)}")
        check_known(x, known, "DeepNADE")
        x, known = torch.broadcast_tensors(x, known)
        # Not a product: what is not known need not be a number.
        return self.layers(torch.cat([torch.where(known, x, 0.0), known.to(x.dtype)], -1), context)


def check_known(x: Tensor, known: Tensor, owner: str) -> None:
    """Raise an error unless ``known`` says of each variable of ``x`` whether it is known.

    Raises:
        UsageError: if it is not boolean.
        ShapeError: if it does not broadcast with ``x``.
    """
    if known.dtype != torch.bool:
        raise UsageError(
            f"{owner} expects booleans that say what is known, got {known.dtype}: compare, as in known > 0"
        )
    fits = known.shape[-1:] in (x.shape[-1:], (1,)) or known.dim() == 0
    pairs = zip(reversed(x.shape), reversed(known.shape), strict=False)
    if not fits or any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ShapeError(f"{owner} expects known= to broadcast with {tuple(x.shape)}, got {tuple(known.shape)}")


@torch.no_grad()
def check_order_agnostic(network: nn.Module, variables: int, context: Space | None, owner: str) -> None:
    """Raise :class:`UsageError` unless a network maps ``(x, known, context)`` and sees of ``x`` what is known alone.

    A copy with its weights moved is asked, since networks start at outputs of zero, which depend on nothing.
    """
    if isinstance(network, DeepNADE):
        return
    network = moved(network)
    like = next(iter(network.parameters()), torch.zeros(()))
    known = torch.eye(variables + 1, variables, dtype=torch.bool, device=like.device)
    x = torch.linspace(-1, 1, variables, dtype=like.dtype, device=like.device).expand_as(known)
    given = None if context is None else like.new_zeros(len(known), *context.features_shape)
    try:
        outputs, others = (network(each, known, given) for each in (x, torch.where(known, x, x + 1)))
    except (TypeError, ShapeError) as error:
        raise UsageError(
            f"{owner} expects a network of (x, known, context), such as DeepNADE, got {type(network).__name__}"
        ) from error
    if bool(((outputs - others).abs() > 1e-5).any()):
        raise UsageError(
            f"{owner} expects a network that sees what is known alone, got {type(network).__name__}, whose outputs "
            f"depend on variables that are not"
        )
