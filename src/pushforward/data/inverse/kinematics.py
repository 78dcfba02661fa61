"""A robot's arm: where is its end, and which joints put it there?"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from pushforward.data.inverse.problem import InverseProblem, normal
from pushforward.spaces import Reals


class InverseKinematics(InverseProblem):
    r"""An arm of three segments on a rail: four parameters, and the position ``(N, 2)`` of its end.

    ``x = (h, a_1, a_2, a_3)``, a height on the rail and the angles of the joints, each from the segment before,

    .. math:: y = \bigl(\textstyle\sum_i l_i \cos(a_1 + .. + a_i), h + \sum_i l_i \sin(a_1 + .. + a_i)\bigr),

    with the lengths ``l = (1/2, 1/2, 1)`` and ``h ~ N(0, 1/4^2)``, ``a_i ~ N(0, 1/2^2)``.

    Source: Ardizzone et al. (2019), arXiv:1808.04730; Kruse et al. (2021), arXiv:2101.10763, section 3.

    Example:
        >>> arm = InverseKinematics()
        >>> arm.simulate(torch.zeros(4))
        tensor([2., 0.])
    """

    features = 4
    observation = Reals((2,))
    lengths = (0.5, 0.5, 1.0)

    def prior(self, n: int, generator: Generator | None = None) -> Tensor:
        return normal(n, [0.0] * 4, [0.25, 0.5, 0.5, 0.5], generator)

    def simulate(self, x: Tensor) -> Tensor:
        return self.joints(x)[..., -1, :]

    def joints(self, x: Tensor) -> Tensor:
        """The ends of the three segments, ``(..., 3, 2)``, to draw the arm from ``(0, h)``."""
        lengths, directions = x.new_tensor(self.lengths), x[..., 1:].cumsum(-1)
        along, up = ((lengths * part).cumsum(-1) for part in (directions.cos(), directions.sin()))
        return torch.stack([along, x[..., :1] + up], -1)
