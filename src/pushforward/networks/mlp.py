"""Multilayer perceptrons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from pushforward.networks.context import join_vector
from pushforward.parts import ModulePart


class MLP(ModulePart):
    r"""A fully connected network for vectors, its last layer starting at zero so that flows start near the identity.

    Args:
        inputs: features of ``x``; with 0 the network sees the context alone.
        outputs: features of the result.
        context: features of the context, 0 for none.
        hidden: widths of the hidden layers; one number stands for two.
        activation: makes the activation between layers.

    Shapes: ``x`` is ``(..., inputs)``, the result ``(..., outputs)``, the context ``(..., context)``.

    Raises:
        ShapeError: if the context is missing or does not have ``context`` features.

    Source: Rumelhart, Hinton, Williams (1986), Learning representations by back-propagating errors, Nature 323.

    Example:
        >>> import torch
        >>> MLP(3, 4, context=2)(torch.ones(5, 3), torch.ones(5, 2)).shape
        torch.Size([5, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        *,
        hidden: int | Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        self.context = context
        hidden = (hidden, hidden) if isinstance(hidden, int) else hidden
        widths = [inputs + context, *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), activation()]
        last = nn.Linear(widths[-1], outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(join_vector(x, context, self.context, "MLP"))


class DetachedMLP(MLP):
    r"""A multilayer perceptron that passes gradients to its weights and its context, and none to ``x``.

    It decides about choices between categories (:class:`pushforward.scalar.ModularAffine`): the gradient of a choice is
    a stand-in, of use to the network that chooses, and misleads the layers before it, which it would have change what
    is seen for the sake of another choice.

    Args:
        inputs, outputs, context, hidden, activation: as in :class:`MLP`.

    Shapes: ``x`` is ``(..., inputs)``, the result ``(..., outputs)``.

    Raises:
        ShapeError: if the context is missing or does not have ``context`` features.

    Source: Bengio, Leonard, Courville (2013), arXiv:1308.3432, for the gradient that is a stand-in.

    Example:
        >>> import torch
        >>> DetachedMLP(3, 4)(torch.ones(5, 3, requires_grad=True)).shape
        torch.Size([5, 4])
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x.detach(), context)
