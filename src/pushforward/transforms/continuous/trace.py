"""The trace of a velocity's Jacobian, its divergence: exact, or estimated with noise."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.networks.velocity.base import Velocity, divergence_by_units
from pushforward.networks.velocity.derivatives import pulled_back
from pushforward.numerics import rand, randn, sum_event
from pushforward.parts import Part

Noise = Literal["rademacher", "gaussian"]


class Trace(Part):
    """How the divergence of a velocity is found.

    Attributes:
        accuracy: what the log-determinant is then.
        draws: which directions draw for it.
    """

    accuracy = Accuracy.EXACT
    draws = Draws.NEVER

    def draw(self, x: Tensor, generator: torch.Generator | None) -> Tensor | None:
        """Return what is drawn for events ``x``, once for a whole solve, so that the velocity stays a fixed function of
        time; None where nothing is."""
        return None

    def __call__(
        self, velocity: nn.Module, time: Tensor, x: Tensor, context: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the velocity and its divergence."""
        raise NotImplementedError(f"{type(self).__name__} finds no trace: a Trace is abstract")

    def with_product(
        self, velocity: nn.Module, time: Tensor, x: Tensor, context: Tensor | None, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the velocity, its divergence, and ``e^T dv/dx`` with noise ``e``."""
        value, divergence = self(velocity, time, x, context, noise)
        return value, divergence, pulled_back(lambda points: velocity(time, points, context), x, noise)[1]


class ExactTrace(Trace):
    r"""The divergence itself, ``div v = sum_i dv_i / dx_i``: in closed form where the velocity knows it
    (:meth:`Velocity.with_divergence`), else by a derivative of each dimension, all at once, for which a velocity of
    ``D`` dimensions costs ``D`` times as much.

    Shapes: times ``(...)`` and events ``(..., D)`` give velocities ``(..., D)`` and divergences ``(...)``.

    Source: Chen, Rubanova, Bettencourt, Duvenaud (2018), Neural Ordinary Differential Equations, arXiv:1806.07366,
    theorem 1.

    Example:
        >>> import pushforward as pf
        >>> velocity = pf.networks.VelocityMLP(2)
        >>> v, divergence = ExactTrace()(velocity, torch.zeros(5), torch.ones(5, 2), None, None)
        >>> v.shape, divergence.shape
        (torch.Size([5, 2]), torch.Size([5]))
    """

    def __call__(
        self, velocity: nn.Module, time: Tensor, x: Tensor, context: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if isinstance(velocity, Velocity):
            return velocity.with_divergence(time, x, context)
        return divergence_by_units(velocity, time, x, context)


class Hutchinson(Trace):
    r"""An estimate of the divergence, right in the mean: ``div v = E e^T (dv/dx) e`` with noise ``e`` of mean 0 and
    covariance 1 (Hutchinson 1990; in continuous flows, Grathwohl et al. 2019, arXiv:1810.01367). One noise serves a
    whole solve. It costs as much as a second velocity, whatever the number of dimensions.

    Args:
        noise: ``"rademacher"``, signs at random, which has the smaller variance, or ``"gaussian"``.

    Shapes: times ``(...)`` and events ``(..., D)`` give velocities ``(..., D)`` and divergences ``(...)``.

    Raises:
        UsageError: for another noise.

    Example:
        >>> Hutchinson().accuracy.describe()
        'estimate'
    """

    accuracy = Accuracy.ESTIMATE
    draws = Draws.BOTH

    def __init__(self, noise: Noise = "rademacher") -> None:
        if noise not in get_args(Noise):
            raise UsageError(f"Hutchinson expects noise of {' or '.join(get_args(Noise))}, got {noise!r}")
        self.noise = noise

    def draw(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return randn(x, x.shape, generator) if self.noise == "gaussian" else signs(x, generator)

    def __call__(
        self, velocity: nn.Module, time: Tensor, x: Tensor, context: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        assert noise is not None
        return self.with_product(velocity, time, x, context, noise)[:2]

    def with_product(
        self, velocity: nn.Module, time: Tensor, x: Tensor, context: Tensor | None, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        value, product = pulled_back(lambda points: velocity(time, points, context), x, noise)
        return value, sum_event(product * noise, x.dim() - time.dim()), product


def signs(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Signs at random, one for each number of ``x``."""
    return torch.where(rand(x, x.shape, generator) < 0.5, -1.0, 1.0).to(x.dtype)
