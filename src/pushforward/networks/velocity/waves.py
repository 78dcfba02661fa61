"""Velocity fields of fine structure: what a network sees of a vector besides the vector itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward.networks.context import check_context, join_vector
from pushforward.networks.velocity.base import Velocity
from pushforward.networks.velocity.residual import ResidualVelocity
from pushforward.spaces.context import as_context


class WaveVelocity(Velocity):
    r"""A velocity network that sees plane waves of the vector besides the vector: ``cos(b_k . x)`` and ``sin(b_k . x)``
    (Tancik et al. 2020, arXiv:2006.10739), as features of its context.

    A network of plain coordinates learns what is smooth first and what is sharp late or never; heaps of events that are
    much narrower than the space they lie in need waves as short as they are narrow. The directions are random, the
    lengths even in their logarithm; neither is trained.

    Args:
        features: the number of dimensions ``D``.
        context: features of the context, 0 for none.
        velocity: a factory of the network, called as ``velocity(features, context + 2 * waves)``.
        waves: how many.
        highest: the largest ``|b_k|``, in radians for each unit of ``x``; the smallest is 1.

    Shapes: ``time`` is ``(...)``, ``x`` is ``(..., D)``, and so is the result.

    Raises:
        ShapeError: if the context is missing or does not have ``context`` features.

    Example:
        >>> WaveVelocity(3, context=2, waves=4)(torch.rand(5), torch.ones(5, 3), torch.ones(5, 2)).shape
        torch.Size([5, 3])
    """

    rates: Tensor

    def __init__(
        self,
        features: int,
        context: int = 0,
        *,
        velocity: Callable[[int, int], nn.Module] = ResidualVelocity,
        waves: int = 64,
        highest: float = 64.0,
    ) -> None:
        super().__init__()
        self.context = context
        directions = nn.functional.normalize(torch.randn(waves, features), dim=-1)
        lengths = torch.exp(torch.linspace(0.0, math.log(highest), waves))
        self.register_buffer("rates", directions * lengths[:, None])
        self.velocity = velocity(features, context + 2 * waves)

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        check_context(context, as_context(self.context), "WaveVelocity")
        angles = x @ self.rates.mT
        waves = torch.cat([torch.cos(angles), torch.sin(angles)], -1)
        return self.velocity(time, x, join_vector(waves, context, self.context, "WaveVelocity"))  # type: ignore[no-any-return]
