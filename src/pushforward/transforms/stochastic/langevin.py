"""The unadjusted Langevin kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.networks.context import Context
from pushforward.numerics import randn
from pushforward.transforms.stochastic.kernel import ForceKernel, Point


class Langevin(ForceKernel):
    r"""Overdamped Langevin steps, ``y = x + h F(x) + sqrt(2 h) xi`` with ``xi ~ N(0, I)`` and ``F = grad log f``.

    Both kernels are normal, ``K(y | x) = N(y; x + h F(x), 2 h)``, and with ``s = sqrt(h / 2) (F(x) + F(y))`` the way
    back weighs ``log K(x | y) - log K(y | x) = -xi . s - |s|^2 / 2``. As ``h`` becomes small, with ``t / h`` steps, it
    is the Langevin diffusion ``dx = F dt + sqrt(2) dW``, the infinitesimal Langevin flow of Rezende and Mohamed (2015),
    arXiv:1505.05770, section 3.3. The step size has the unit of a squared ``x``; each element of ``F`` is bounded by
    1000.

    Args:
        features: the number of dimensions ``D``.
        target: the logarithm of ``f`` up to a constant, called as ``target(x)``, with a context as
            ``target(x, context)``; or a distribution.
        step_size: where the steps ``h``, one in each dimension, start from.
        context: a number of features or a space of vectors, which the target sees; 0 for none.

    Raises:
        UsageError: if an argument does not fit.

    Source: Wu, Koehler, Noe (2020), arXiv:2002.06707, appendix; Nilmeier, Crooks, Minh, Chodera (2011), PNAS 108.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Relaxation
        >>> layer = Relaxation(Langevin(2, StandardNormal((2,)), step_size=0.1), steps=10)
        >>> z, log_det = layer(torch.zeros(5, 2))
        >>> z.shape, log_det.shape
        (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(self, features: int, target: Any, step_size: float = 0.05, context: Context = 0) -> None:
        super().__init__(features, target, step_size, context)

    def move(
        self, point: Point, context: Tensor | None, generator: torch.Generator | None = None
    ) -> tuple[Point, Tensor]:
        noise, step = randn(point.x, point.x.shape, generator), self.step_size
        moved = self.at(_moved(point, noise, step), context)
        # From the noise itself: the difference of two log-densities of normals would cancel.
        change = (0.5 * step).sqrt() * (point.force + moved.force)
        return moved, -(change * (noise + 0.5 * change)).sum(-1)

    def displace(self, point: Point, context: Tensor | None, generator: torch.Generator | None = None) -> Tensor:
        return _moved(point, randn(point.x, point.x.shape, generator), self.step_size)


def _moved(point: Point, noise: Tensor, step: Tensor) -> Tensor:
    return point.x + step * point.force + (2 * step).sqrt() * noise
