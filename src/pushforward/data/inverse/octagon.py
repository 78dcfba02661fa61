"""Eight Gaussians on an octagon: which label is it, and where was the point?"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from pushforward.data.inverse.problem import InverseProblem
from pushforward.data.toys.gaussians import log_gaussian_mixture
from pushforward.errors import UsageError
from pushforward.scalar.arguments import check_positive
from pushforward.spaces import Categories

LABELS = {"all": (0, 1, 2, 3, 4, 5, 6, 7), "some": (0, 0, 0, 0, 1, 1, 2, 3), "none": (0,) * 8}
"""The label of each Gaussian, clockwise from the left, by the name of the set."""

_FAR, _NEAR = 1 + math.sqrt(2), 1.0
_CORNERS = [
    *[(-_FAR, _NEAR), (-_NEAR, _FAR), (_NEAR, _FAR), (_FAR, _NEAR)],
    *[(_FAR, -_NEAR), (_NEAR, -_FAR), (-_NEAR, -_FAR), (-_FAR, -_NEAR)],
]


class Octagon(InverseProblem):
    """A point of eight equal Gaussians at the corners of an octagon, and the label of the nearest one.

    The posterior of a label is the mixture of those that have it, which is known: :meth:`posterior_log_prob`. That
    leaves out points which are nearer to another corner, one in two millions with the default scale.

    Args:
        labels: the set, ``"all"`` different, ``"some"`` shared by four, by two and by none, or ``"none"`` at all.
        scale: the standard deviation of each; corners are 2 apart.

    Raises:
        UsageError: if there is no such set, or the scale is not positive.

    Source: Ardizzone et al. (2019), arXiv:1808.04730, section 4.1.

    Example:
        >>> Octagon("some").simulate(torch.tensor([[-2.4, 1.0], [2.4, -1.0], [-1.0, -2.4]]))
        tensor([0, 1, 2])
    """

    features = 2

    def __init__(self, labels: str = "some", scale: float = 0.2) -> None:
        if labels not in LABELS:
            raise UsageError(f"the octagon expects labels to be one of {', '.join(LABELS)}, got {labels!r}")
        check_positive("Octagon", scale=scale)
        self.scale = scale
        self.corners = torch.tensor(_CORNERS, dtype=torch.float64)
        self.labels = torch.tensor(LABELS[labels])
        self.observation = Categories(int(self.labels.max()) + 1)

    def prior(self, n: int, generator: Generator | None = None) -> Tensor:
        return self._around(torch.randint(8, (n,), generator=generator), generator)

    def simulate(self, x: Tensor) -> Tensor:
        return self.labels[(x.unsqueeze(-2) - self.corners.to(x)).square().sum(-1).argmin(-1)]

    def posterior_sample(self, n: int, label: int, generator: Generator | None = None) -> Tensor:
        """Draw points of a label, ``(n, 2)``."""
        members = self._members(label)
        return self._around(members[torch.randint(len(members), (n,), generator=generator)], generator)

    def posterior_log_prob(self, x: Tensor, label: int) -> Tensor:
        """The log-density of points ``(..., 2)`` given a label."""
        members = self._members(label)
        return log_gaussian_mixture(x, self.corners[members], self.scale) - math.log(len(members))

    def _members(self, label: int) -> Tensor:
        """Which Gaussians have a label."""
        members = (self.labels == label).nonzero().squeeze(-1)
        if not len(members):
            raise UsageError(f"the octagon expects a label from 0 to {int(self.labels.max())}, got {label}")
        return members

    def _around(self, corner: Tensor, generator: Generator | None) -> Tensor:
        return self.corners.float()[corner] + self.scale * torch.randn(len(corner), 2, generator=generator)
