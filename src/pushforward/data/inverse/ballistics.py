"""A thrown ball: where does it land, and how was it thrown?"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from pushforward.data.inverse.problem import InverseProblem
from pushforward.spaces import Reals

GRAVITY, DRAG, MASS = 9.81, 0.25, 0.2
_STEPS = 20


class InverseBallistics(InverseProblem):
    r"""A ball with drag: four parameters, and the place ``(N, 1)`` where it meets the ground.

    ``x`` is where it starts, ``x_1 ~ N(0, 1/4)``, ``x_2 ~ N(3/2, 1/4)`` (these are variances), its angle ``x_3 ~ U(9
    deg, 72 deg)`` in radians and its speed ``x_4 ~ Poisson(15)``. With ``k`` the drag and ``m`` the mass its path is

    .. math:: T_1(t) = x_1 - \tfrac{v_1 m}{k} (e^{-kt/m} - 1), \qquad
        T_2(t) = x_2 - \tfrac{m}{k^2} \bigl((g m + v_2 k)(e^{-kt/m} - 1) + g k t\bigr),

    and ``y = T_1(t*)`` at the last ``t*`` with ``T_2(t*) = 0``. A start below the ground, of which the prior has one in
    700, is mirrored at it; what else may be inferred below it, where a ball may never land, starts at the ground.

    Source: Kruse et al. (2021), arXiv:2101.10763, section 3.

    Example:
        >>> InverseBallistics().simulate(torch.tensor([1.0, 2.0, 0.5, 0.0]))
        tensor([1.])
    """

    features = 4
    observation = Reals((1,))

    def prior(self, n: int, generator: Generator | None = None) -> Tensor:
        across, height = torch.randn(2, n, generator=generator) / 2
        low, high = math.radians(9), math.radians(72)
        angle = low + (high - low) * torch.rand(n, generator=generator)
        speed = torch.poisson(torch.full((n,), 15.0), generator=generator)
        return torch.stack([across, (1.5 + height).abs(), angle, speed], -1)

    def simulate(self, x: Tensor) -> Tensor:
        return self.path(x, self.flight_time(x))[..., :1]

    def path(self, x: Tensor, time: Tensor) -> Tensor:
        """Where the ball is after seconds ``(...)``, ``(..., 2)``."""
        start, across, up = _throw(x)
        left = -torch.expm1(-DRAG / MASS * time)
        first = start[0] + across * MASS / DRAG * left
        second = start[1] + MASS / DRAG**2 * ((GRAVITY * MASS + up * DRAG) * left - GRAVITY * DRAG * time)
        return torch.stack([first, second], -1)

    def flight_time(self, x: Tensor) -> Tensor:
        """When the ball meets the ground, in seconds."""
        (_, height), _, up = _throw(x)
        terminal = GRAVITY * MASS / DRAG
        # With all the speed lost at once it would land at this time; the height is concave in time, so that Newton's
        # steps from here go down to the root and never past it.
        time = (height + MASS / DRAG * (up + terminal)) / terminal
        for _ in range(_STEPS):
            slope = (up + terminal) * torch.exp(-DRAG / MASS * time) - terminal
            time = time - self.path(x, time)[..., 1] / slope.clamp(max=-torch.finfo(x.dtype).eps)
        return time.clamp_min(0.0)


def _throw(x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Where the ball starts, and its speeds across and up."""
    across, height, angle, speed = x.unbind(-1)
    return (across, height.clamp_min(0.0)), speed * angle.cos(), speed * angle.sin()
