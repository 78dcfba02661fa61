"""Permutations: the order of the dimensions changes, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.kernels.selection import reorder
from pushforward.numerics import no_log_det
from pushforward.spaces import ANY, Anything, Space
from pushforward.transforms.base import Bijection


class Permutation(Bijection):
    r"""A fixed reordering of features or channels, ``z_i = x_order[i]``; ``log_det = 0``.

    Args:
        order: which input each output takes, a permutation of ``0 ... D - 1``.
        event_dims: 1 to reorder the features of vectors, 3 to reorder the channels of images.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images; ``log_det`` is ``(...)``.

    Raises:
        UsageError: if ``order`` is no permutation.

    Source: Dinh, Krueger, Bengio (2014), NICE, arXiv:1410.8516, where parts change places between layers.

    Example:
        >>> Permutation(torch.tensor([2, 0, 1]))(torch.tensor([1.0, 2.0, 3.0]))[0]
        tensor([3., 1., 2.])
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, order: Tensor | Sequence[int], event_dims: int = 1) -> None:
        super().__init__()
        order = torch.as_tensor(order)
        if order.dim() != 1 or not torch.equal(order.sort().values, torch.arange(len(order), device=order.device)):
            raise UsageError(f"Permutation expects an order of 0 ... {len(order) - 1}, got {order.tolist()}")
        self.domain = self.codomain = Anything((len(order), *[ANY] * (event_dims - 1)))
        # Persistent: a random order must come back with the weights.
        self.register_buffer("order", order.clone())
        self.register_buffer("inverse_order", torch.argsort(order))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        return reorder(x, self.order, self.inverse_order, -self.event_dims), no_log_det(x, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        return reorder(z, self.inverse_order, self.order, -self.event_dims), no_log_det(z, self.event_dims)

    def forward_space(self, space: Space) -> Space:
        return super().forward_space(space).select(self.order.tolist())

    def inverse_space(self, space: Space) -> Space:
        return super().inverse_space(space).select(self.inverse_order.tolist())


def flip(features: int, event_dims: int = 1) -> Permutation:
    """Reverse the order of the features or channels, ``z_i = x_{D - 1 - i}``; ``log_det = 0``.

    Args:
        features: the number of features, or of channels, ``D``.
        event_dims: 1 to reorder the features of vectors, 3 the channels of images.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images; ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input has not as many features or channels.

    Source: Papamakarios, Pavlakou, Murray (2017), Masked Autoregressive Flow, arXiv:1705.07057, between whose layers
    the order is reversed.

    Example:
        >>> flip(3)(torch.tensor([1.0, 2.0, 3.0]))[0]
        tensor([3., 2., 1.])
    """
    return Permutation(torch.arange(features).flip(0), event_dims)


def random_permutation(features: int, event_dims: int = 1, generator: torch.Generator | None = None) -> Permutation:
    """Draw an order of the features or channels once and keep it, ``z_i = x_order[i]``; ``log_det = 0``.

    Args:
        features: the number of features, or of channels, ``D``.
        event_dims: 1 to reorder the features of vectors, 3 the channels of images.
        generator: the random numbers; without one, by the global seed.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images; ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input has not as many features or channels.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039, where it is compared with reversing and with a learned
    convolution.

    Example:
        >>> random_permutation(4).order.sort().values
        tensor([0, 1, 2, 3])
    """
    return Permutation(torch.randperm(features, generator=generator), event_dims)
