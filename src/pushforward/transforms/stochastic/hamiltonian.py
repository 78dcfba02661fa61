"""The Hamiltonian kernel: leapfrog steps of events with a momentum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.numerics import randn
from pushforward.transforms.stochastic.kernel import ForceKernel, Point


class Hamiltonian(ForceKernel):
    r"""Hamiltonian dynamics by leapfrog, from a momentum that is drawn anew, ``v ~ N(0, I)``.

    ``v' = v + (e / 2) F(x)``, ``y = x + e v'``, ``w = v' + (e / 2) F(y)`` with ``F = grad log f``. A leap preserves
    volume and is its own inverse with the momentum turned, so that its way back weighs ``log K(x | y) - log K(y | x) =
    (|v|^2 - |w|^2) / 2``. Between the leaps of a move the momentum may be refreshed in part, ``v <- a v + sqrt(1 - a^2)
    xi``, which leaves ``N(0, I)`` invariant and weighs nothing. As ``e`` becomes small it is the infinitesimal
    Hamiltonian flow of Rezende and Mohamed (2015), arXiv:1505.05770, section 3.3, which changes no density along the
    way. The step size has the unit of ``x``; each element of ``F`` is bounded by 1000.

    Args:
        features: the number of dimensions ``D``.
        target: the logarithm of ``f`` up to a constant, called as ``target(x)``, with a context as
            ``target(x, context)``; or a distribution.
        step_size: where the steps ``e``, one in each dimension, start from.
        leaps: leapfrog steps in a move.
        persistence: the share ``a`` of the momentum that stays between two leaps, from 0 to 1.
        context: a number of features or a space of vectors, which the target sees; 0 for none.

    Raises:
        UsageError: if an argument does not fit.

    Source: Neal (2011), arXiv:1206.1901; Horowitz (1991), Physics Letters B 268 (partial refreshment); Salimans,
    Kingma, Welling (2015), arXiv:1410.6460; Caterini, Doucet, Sejdinovic (2018), arXiv:1805.11328.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Relaxation
        >>> layer = Relaxation(Hamiltonian(2, StandardNormal((2,)), step_size=0.1, leaps=5))
        >>> z, log_det = layer(torch.zeros(5, 2))
        >>> z.shape, log_det.shape
        (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(
        self,
        features: int,
        target: Any,
        step_size: float = 0.2,
        leaps: int = 3,
        persistence: float = 1.0,
        context: Context = 0,
    ) -> None:
        super().__init__(features, target, step_size, context)
        if leaps < 1 or not 0 <= persistence <= 1:
            raise UsageError(
                f"Hamiltonian expects at least 1 leap and a persistence from 0 to 1, got {leaps} and {persistence}"
            )
        self.leaps, self.persistence = leaps, persistence

    def move(
        self, point: Point, context: Tensor | None, generator: torch.Generator | None = None
    ) -> tuple[Point, Tensor]:
        log_ratio = torch.zeros_like(point.log_density)
        for leapt, before, after in self._leaps(point, context, generator):
            point, log_ratio = leapt, log_ratio + _kinetic_change(before, after)
        return point, log_ratio

    def way(self, point: Point, context: Tensor | None, generator: torch.Generator | None = None) -> list[Tensor]:
        return [leapt.x for leapt, _, _ in self._leaps(point, context, generator)]

    def leap(self, point: Point, momentum: Tensor, step: Tensor, context: Tensor | None) -> tuple[Point, Tensor]:
        """Return where one leapfrog step of this size leads, events and momentum."""
        momentum = momentum + 0.5 * step * point.force
        point = self.at(point.x + step * momentum, context)
        return point, momentum + 0.5 * step * point.force

    def _leaps(
        self, point: Point, context: Tensor | None, generator: torch.Generator | None
    ) -> Iterator[tuple[Point, Tensor, Tensor]]:
        """Yield where each leap of a move leads, with the momentum before it and after it."""
        momentum, step = randn(point.x, point.x.shape, generator), self.step_size
        for index in range(self.leaps):
            before = self._refreshed(momentum, generator) if index else momentum
            point, momentum = self.leap(point, before, step, context)
            yield point, before, momentum

    def _refreshed(self, momentum: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.persistence == 1:
            return momentum
        noise = randn(momentum, momentum.shape, generator)
        return self.persistence * momentum + math.sqrt(1 - self.persistence**2) * noise


def _kinetic_change(before: Tensor, after: Tensor) -> Tensor:
    """``(|v|^2 - |w|^2) / 2``, as a product, in which large momenta do not cancel."""
    return 0.5 * ((before - after) * (before + after)).sum(-1)
