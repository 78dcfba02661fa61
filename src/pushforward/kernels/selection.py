"""Elements picked by index, and put back, in compiled code without sums over the index.

The gradient of a plain index adds up whatever was picked, which the compiler can only do one number after the other
(and with what it generates for it, couplings have been seen to corrupt memory). Nothing is picked twice here, so that
each gradient is a lookup itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Selection(nn.Module):
    """Some of the elements along a dimension.

    Args:
        index: which elements, each at most once.
        size: how many there are.
        dim: the dimension.

    Example:
        >>> odd = Selection(torch.tensor([1, 3]), size=4, dim=-1)
        >>> x = torch.arange(4.0)
        >>> odd.pick(x), odd.put(x, torch.tensor([10.0, 30.0]))
        (tensor([1., 3.]), tensor([ 0., 10.,  2., 30.]))
    """

    index: Tensor
    place: Tensor
    picked: Tensor

    def __init__(self, index: Tensor, size: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        place, picked = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.bool)
        place[index], picked[index] = torch.arange(len(index)), True
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("picked", picked, persistent=False)

    def pick(self, x: Tensor) -> Tensor:
        """Return the selected elements of ``x``."""
        # Not compiled, the plain operations keep second and forward-mode derivatives.
        if not torch.compiler.is_compiling():
            return x.index_select(self.dim, self.index)
        return _Pick.apply(x, self.dim, self.index, self.place, self._picked_in(x))

    def put(self, x: Tensor, values: Tensor) -> Tensor:
        """Return ``x`` with its selected elements replaced."""
        if not torch.compiler.is_compiling():
            return x.index_copy(self.dim, self.index, values)
        return _Put.apply(x, values, self.dim, self.index, self.place, self._picked_in(x))

    def _picked_in(self, x: Tensor) -> Tensor:
        trailing = (-1 - self.dim) % x.dim()
        return self.picked.view(-1, *[1] * trailing)


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, dim: int, index: Tensor, place: Tensor, picked: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(place, picked)
        ctx.dim = dim
        return x.index_select(dim, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        place, picked = ctx.saved_tensors
        gradient = gradient.index_select(ctx.dim, place)
        return gradient if picked is None else torch.where(picked, gradient, 0.0), None, None, None, None


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, values: Tensor, dim: int, index: Tensor, place: Tensor, picked: Tensor
    ) -> Tensor:
        ctx.save_for_backward(index, picked)
        ctx.dim = dim
        return torch.where(picked, values.index_select(dim, place), x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        index, picked = ctx.saved_tensors
        return torch.where(picked, 0.0, gradient), gradient.index_select(ctx.dim, index), None, None, None, None


def reorder(x: Tensor, order: Tensor, inverse_order: Tensor, dim: int) -> Tensor:
    """Return the elements of ``x`` along ``dim`` in another order, all of them.

    Example:
        >>> reorder(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2, 0, 1]), torch.tensor([1, 2, 0]), -1)
        tensor([3., 1., 2.])
    """
    if not torch.compiler.is_compiling():
        return x.index_select(dim, order)
    return _Pick.apply(x, dim, order, inverse_order, None)
