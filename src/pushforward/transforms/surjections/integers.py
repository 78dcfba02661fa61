"""Where the integers of the data enter a flow on integers."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import no_log_det
from pushforward.spaces import ANY
from pushforward.spaces import Integers as IntegerSpace
from pushforward.transforms.base import Bijection


class Integers(Bijection):
    r"""The identity, ``z = x``, on data that are the integers ``0 .. levels - 1``, of any dtype; ``log_det = 0``.

    Integer tensors become floating-point ones, in which the flow computes. It tells the flow
    that its data have ``levels`` values.

    Args:
        levels: how many values the data take.
        event_dims: 1 for vectors, 3 for images.

    Shapes: ``x`` and ``z`` are of one shape, ``(..., D)`` or ``(..., C, H, W)``; ``log_det`` is ``(...)``.

    Raises:
        UsageError: for fewer than one level.

    Source: Hoogeboom, Peters, van den Berg, Welling (2019), Integer Discrete Flows, arXiv:1905.07376.

    Example:
        >>> Integers(256)(torch.tensor([[7]], dtype=torch.uint8))[0]
        tensor([[7.]])
    """

    like: Tensor

    def __init__(self, levels: int, event_dims: int = 1) -> None:
        super().__init__()
        if levels < 1:
            raise UsageError(f"Integers expects at least one level, got {levels}")
        self.levels = levels
        self.domain = self.codomain = IntegerSpace(0, levels - 1, [ANY] * event_dims)
        # Integers carry no floating-point type of their own: this follows .double(), .half() and .to(device).
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        z = x if x.is_floating_point() else x.to(self.like.dtype)
        return z, no_log_det(z, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.forward(z, context)
