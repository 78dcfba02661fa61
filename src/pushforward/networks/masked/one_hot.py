"""A masked network over categories: what is said of a variable depends on the variables before it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import Context, check_context, vector_context
from pushforward.networks.masked.linear import MaskedLinear
from pushforward.networks.masked.made import hidden_degrees
from pushforward.parts import ModulePart


class OneHotMADE(ModulePart):
    r"""MADE (Germain et al. 2015, arXiv:1502.03509) with one-hot variables: all ``K`` numbers of a variable share
    its place in the order.

    Args:
        variables: the number of variables ``D``.
        classes: the number of categories ``K``.
        outputs: the outputs ``P`` of each variable.
        context: features of the context, 0 for none.
        hidden: widths of the hidden layers.

    Shapes: ``(..., D, K)`` in, ``(..., D, P)`` out; output ``d`` sees the inputs before ``d``. The last layer starts
    at zero.

    Raises:
        ShapeError: if the input is not ``(..., D, K)``, or the context does not fit.

    Example:
        >>> OneHotMADE(3, 4, 5)(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 3, 5])
    """

    def __init__(
        self, variables: int, classes: int, outputs: int, context: Context = 0, *, hidden: Sequence[int] = (64, 64)
    ) -> None:
        super().__init__()
        if min(variables, classes, outputs, *hidden) < 1 or not hidden:
            raise UsageError("OneHotMADE expects at least one variable, class, output and hidden feature")
        self.shape = torch.Size([variables, classes])
        self.context = vector_context(context, "OneHotMADE")
        features = 0 if self.context is None else self.context.features_shape[0]
        degrees = [
            [variable + 1 for variable in range(variables) for _ in range(classes)],
            *(hidden_degrees(width, variables, features) for width in hidden),
            [variable for variable in range(variables) for _ in range(outputs)],
        ]
        self.layers = nn.ModuleList(MaskedLinear(before, after) for before, after in pairwise(degrees))
        self.context_layer = nn.Linear(features, hidden[0], bias=False) if features else None
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if x.shape[-2:] != self.shape:
            raise ShapeError(f"OneHotMADE expects (..., {self.shape[0]}, {self.shape[1]}), got {tuple(x.shape)}")
        check_context(context, self.context, "OneHotMADE")
        first, *rest = self.layers
        h = first(x.flatten(-2))
        if self.context_layer is not None and context is not None:
            h = h + self.context_layer(context)
        for layer in rest:
            h = layer(torch.relu(h))
        return h.unflatten(-1, (self.shape[0], -1))
