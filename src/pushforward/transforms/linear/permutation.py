"""Permutations: the order of the dimensions changes, nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.kernels.selection import reorder
from pushforward.transforms.base import Bijection, batch_shape, check_event


class Permutation(Bijection):
    r"""A fixed reordering of features or channels, ``z_i = x_order[i]``; ``log_det = 0``.

    Args:
        order: which input each output takes, a permutation of ``0 ... D - 1``.
        event_dims: 1 to reorder the features of vectors, 3 to reorder the channels of images.

    Raises:
        UsageError: if ``order`` is no permutation.

    Example:
        >>> Permutation(torch.tensor([2, 0, 1]))(torch.tensor([1.0, 2.0, 3.0]))[0]
        tensor([3., 1., 2.])
    """

    light = True
    order: Tensor
    inverse_order: Tensor

    def __init__(self, order: Tensor, event_dims: int = 1) -> None:
        super().__init__()
        if not torch.equal(order.sort().values, torch.arange(len(order), device=order.device)):
            raise UsageError(f"Permutation expects an order of 0 ... {len(order) - 1}, got {order.tolist()}")
        self.event_dims = event_dims
        # Persistent: a random order must come back with the weights.
        self.register_buffer("order", order)
        self.register_buffer("inverse_order", torch.argsort(order))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._reorder(x, self.order, self.inverse_order)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._reorder(z, self.inverse_order, self.order)

    def _reorder(self, x: Tensor, order: Tensor, inverse_order: Tensor) -> tuple[Tensor, Tensor]:
        check_event(x, torch.Size([len(order), *x.shape[x.dim() - self.event_dims + 1 :]]), "Permutation")
        dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
        log_det = torch.zeros(batch_shape(x, self.event_dims), dtype=dtype, device=x.device)
        return reorder(x, order, inverse_order, -self.event_dims), log_det


def flip(features: int, event_dims: int = 1) -> Permutation:
    """Reverse the order of the features or channels.

    Example:
        >>> flip(3)(torch.tensor([1.0, 2.0, 3.0]))[0]
        tensor([3., 2., 1.])
    """
    return Permutation(torch.arange(features).flip(0), event_dims)


def random_permutation(features: int, event_dims: int = 1, generator: torch.Generator | None = None) -> Permutation:
    """Draw an order once and keep it.

    Example:
        >>> random_permutation(4).order.sort().values
        tensor([0, 1, 2, 3])
    """
    return Permutation(torch.randperm(features, generator=generator), event_dims)
