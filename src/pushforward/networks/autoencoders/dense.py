"""Fully connected encoders and decoders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.networks.mlp import MLP
from pushforward.parts import ModulePart


class DenseEncoder(ModulePart):
    r"""Events to vectors, ``h = f((x - center) / unit, context)``: linear layers with an activation behind each.

    The last layer starts like the others and not at zero, as what reads ``h`` does: both at zero would never learn.

    Args:
        shape: the shape of one event.
        outputs: features of ``h``.
        context: the shape of the context, which is flattened and joined to the event; ``()`` for none.
        hidden: widths of the layers before the last.
        center, unit: the fixed shift and scale of the input.

    Shapes: ``x`` is ``(N, *shape)``, ``h`` is ``(N, outputs)``.

    Raises:
        RuntimeError: from torch, if the event or the context has not as many elements.

    Source: Kingma, Welling (2013), Auto-Encoding Variational Bayes, arXiv:1312.6114, appendix C.

    Example:
        >>> DenseEncoder((1, 4, 4), 5, hidden=(8,))(torch.zeros(3, 1, 4, 4)).shape
        torch.Size([3, 5])
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        context: Sequence[int] = (),
        *,
        hidden: Sequence[int] = (),
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        self.center, self.unit = center, unit
        widths = [math.prod(shape) + flat_size(context), *hidden, outputs]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(with_context((x.flatten(1) - self.center) / self.unit, context))


class DenseDecoder(ModulePart):
    r"""Vectors to the parameters of events, ``theta = f(z, context)``, by an MLP whose last layer starts at zero.

    Args:
        inputs: features of ``z``.
        shape: the shape of ``theta``.
        context: the shape of the context, which is flattened and joined to ``z``; ``()`` for none.
        hidden: widths of the hidden layers.

    Shapes: ``z`` is ``(N, inputs)``, ``theta`` is ``(N, *shape)``.

    Raises:
        RuntimeError: from torch, if ``z`` or the context has not as many features.

    Source: Kingma, Welling (2013), Auto-Encoding Variational Bayes, arXiv:1312.6114, appendix C.

    Example:
        >>> DenseDecoder(2, (1, 4, 4), hidden=(8,))(torch.zeros(3, 2)).shape
        torch.Size([3, 1, 4, 4])
    """

    def __init__(
        self, inputs: int, shape: Sequence[int], context: Sequence[int] = (), *, hidden: Sequence[int] = (64,)
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.network = MLP(inputs + flat_size(context), math.prod(shape), hidden=hidden)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.network(with_context(z, context)).unflatten(-1, self.shape)


def flat_size(context: Sequence[int]) -> int:
    """How many numbers a context of a shape is, 0 for none.

    Example:
        >>> flat_size(()), flat_size((3, 2))
        (0, 6)
    """
    return math.prod(context) if len(context) else 0


def with_context(x: Tensor, context: Tensor | None) -> Tensor:
    """Append flattened contexts to vectors ``(N, D)``."""
    return x if context is None else torch.cat([x, context.to(x.dtype).flatten(1)], -1)
