"""Two moons: a posterior of two crescents."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.inference.simulation.tasks.task import cube


class TwoMoons:
    r"""``x = (r cos a + 0.25 - |t_1 + t_2| / sqrt 2, r sin a + (t_2 - t_1) / sqrt 2)``.

    ``a ~ U(-pi/2, pi/2)``, ``r ~ N(0.1, 0.01^2)``; the prior is uniform on ``[-1, 1]^2``.

    Source: Greenberg, Nonnenmacher, Macke (2019), arXiv:1905.07488; task T.8 of Lueckmann et al. (2021),
    arXiv:2101.04653.

    Example:
        >>> TwoMoons()(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
    """

    def __init__(self) -> None:
        self.prior = cube(2, 1.0)

    def __call__(self, theta: Tensor) -> Tensor:
        angle = math.pi * (torch.rand(len(theta)) - 0.5)
        radius = 0.1 + 0.01 * torch.randn(len(theta))
        crescent = torch.stack([radius * angle.cos() + 0.25, radius * angle.sin()], -1)
        first, second = theta.unbind(-1)
        return crescent + torch.stack([-(first + second).abs(), second - first], -1) / math.sqrt(2.0)
