"""A bijection run backwards."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transforms.base import Bijection, Transform


class Inverse(Bijection):
    r"""The inverse of a bijection as a bijection: ``forward`` runs its ``inverse`` and the other way round.

    The inverse of an autoregressive flow is the inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934).

    Args:
        bijection: the transform to turn round; it must be deterministic.

    Raises:
        UsageError: if the transform draws random numbers, and so has no inverse map.

    Example:
        >>> from pushforward.scalar import Additive
        >>> from pushforward.transforms import Elementwise
        >>> shift = Elementwise(Additive(), (2,))
        >>> z, log_det = Inverse(shift)(torch.ones(4, 2))
        >>> z.shape, log_det.shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(self, bijection: Transform) -> None:
        super().__init__()
        if bijection.stochastic:
            raise UsageError(f"Inverse expects a deterministic transform, got {type(bijection).__name__}, which draws")
        self.bijection = bijection
        self.event_dims = bijection.event_dims
        self.exact = bijection.exact
        self.tolerance = bijection.tolerance

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.bijection.inverse(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.bijection(z, context)

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        return self.bijection.inverse_shape(shape)

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        return self.bijection.forward_shape(shape)
