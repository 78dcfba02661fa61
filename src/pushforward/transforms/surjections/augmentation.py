"""Augmentation: more dimensions than the data have."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.numerics import finite_square, randn
from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.spaces import Reals
from pushforward.transforms.base import Transform


class Augmentation(Transform):
    r"""Normal noise beside the data, ``z = [x, u]`` with ``u ~ N(0, scale^2 I)``: a wider space, whose maps do more.

    ``log_det = -log q(u)``; the flow behind it models ``p(x, u)``, and ``log p(x) >= E [log p(x, u) - log q(u)]``: a
    lower bound, as ``accuracy`` says. The inverse drops ``u``; ``inverse(forward(x)) = x``.

    Args:
        features: the number of dimensions ``D`` of the data.
        extra: how many are added, ``E``.
        scale: the noise's standard deviation.

    Shapes: ``x`` is ``(..., D)``, ``z`` is ``(..., D + E)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: if there is no dimension to add, or the scale is not positive.
        ShapeError: if the input does not end in ``D``.

    Source: Huang, Dinh, Courville (2020), arXiv:2002.07101; as padding, Ardizzone et al. (2019), arXiv:1808.04730.

    Example:
        >>> layer = Augmentation(2, 3)
        >>> z, log_det = layer(torch.ones(4, 2))
        >>> z.shape, layer.inverse(z)[0].shape
        (torch.Size([4, 5]), torch.Size([4, 2]))
    """

    accuracy = Accuracy.LOWER_BOUND
    draws = Draws.FORWARD

    def __init__(self, features: int, extra: int, scale: float = 1.0) -> None:
        super().__init__()
        check_counts("Augmentation", features=features, extra=extra)
        check_positive("Augmentation", scale=scale)
        self.extra, self.scale = extra, scale
        self.domain, self.codomain = Reals((features,)), Reals((features + extra,))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        noise = randn(x, (*x.shape[:-1], self.extra), generator)
        return torch.cat([x, self.scale * noise], -1), -self._log_density(noise)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.decode(z, context)
        return x, self._log_density(z[..., x.shape[-1] :] / self.scale)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return z[..., : self.event_shape[0]]

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape

    def _log_density(self, noise: Tensor) -> Tensor:
        """``log q(u)`` of noise in standard deviations."""
        constant = self.extra * (LOG_SQRT_TWO_PI + math.log(self.scale))
        return -0.5 * finite_square(noise).sum(-1) - constant
