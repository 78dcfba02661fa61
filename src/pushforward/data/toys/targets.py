"""Unnormalised densities of which samplers are tried: wells beside each other, and a funnel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import ShapeError, UsageError
from pushforward.numerics import finite_square
from pushforward.parts import ModulePart

LOG_NORMALISER_OF_A_WELL = 10.293479707073868
"""``log int exp(-u)`` of one double well, by quadrature."""
FARTHEST = 80.0
"""Beyond it the logarithm of a funnel's variance stays as it is: float32 has no room for its exponential, and the
density no mass (16 standard deviations at scale 5)."""


class ManyWell(ModulePart):
    r"""Double wells side by side, ``log f(x) = -sum_k u(x_2k, x_2k+1)``, ``u(a, b) = -a / 2 - 6 a^2 + a^4 + b^2 / 2``.

    Two features are the double well of the literature, 32 the ManyWell-32 with its 65,536 modes. Called with points
    ``(..., D)`` it returns ``(...)`` in nats.

    Args:
        features: the number of dimensions ``D``, even.

    Attributes:
        log_normaliser: ``log int f``, 10.29348 for each well.

    Raises:
        UsageError: if the number of features is not even.
        ShapeError: if the points are of another size.

    Source: Noe, Olsson, Koehler, Wu (2019), Science 365; Wu, Koehler, Noe (2020), arXiv:2002.06707; Midgley, Stimper,
    Simm, Schoelkopf, Hernandez-Lobato (2023), arXiv:2208.01893.

    Example:
        >>> well = ManyWell(2)
        >>> well(torch.tensor([[1.0, 2.0]])), round(well.log_normaliser, 4)
        (tensor([3.5000]), 10.2935)
    """

    context = None

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        if features < 2 or features % 2:
            raise UsageError(f"ManyWell expects an even number of features, got {features}: each well has two")
        self.features = features
        self.log_normaliser = 0.5 * features * LOG_NORMALISER_OF_A_WELL

    def forward(self, x: Tensor) -> Tensor:
        _check_points(x, self.features, "ManyWell")
        a, b = x[..., ::2], x[..., 1::2]
        square = finite_square(a)
        return (0.5 * a + square * (6.0 - square) - 0.5 * finite_square(b)).sum(-1)


class Funnel(ModulePart):
    r"""Neal's funnel, ``v ~ N(0, scale^2)`` and the other dimensions ``x_i ~ N(0, e^v)``: a normalised density.

    Called with points ``(..., D)``, ``v`` first, it returns ``(...)`` in nats.

    Args:
        features: the number of dimensions ``D``, at least 2.
        scale: the standard deviation of ``v``.

    Attributes:
        log_normaliser: 0.

    Raises:
        UsageError: if there are fewer than 2 features or the scale is not above 0.
        ShapeError: if the points are of another size.

    Source: Neal (2003), Slice sampling, Annals of Statistics 31.

    Example:
        >>> round(Funnel(2, 1.0)(torch.zeros(2)).item(), 4) == round(-math.log(2 * math.pi), 4)
        True
    """

    context = None
    log_normaliser = 0.0

    def __init__(self, features: int = 10, scale: float = 3.0) -> None:
        super().__init__()
        if features < 2 or not 0 < scale < math.inf:
            raise UsageError(f"Funnel expects at least 2 features and a scale above 0, got {features} and {scale}")
        self.features, self.scale = features, scale

    def forward(self, x: Tensor) -> Tensor:
        _check_points(x, self.features, "Funnel")
        v, rest = x[..., 0], x[..., 1:]
        bounded = v.clamp(-FARTHEST, FARTHEST)
        # Divided before it is squared: the square of the quotient is what must have room.
        narrow = finite_square(rest * torch.exp(-0.5 * bounded)[..., None]).sum(-1)
        wide = finite_square(v / self.scale) + (self.features - 1) * bounded
        return -0.5 * (narrow + wide + self.features * math.log(2 * math.pi)) - math.log(self.scale)


def _check_points(x: Tensor, features: int, owner: str) -> None:
    if x.dim() == 0 or x.shape[-1] != features:
        raise ShapeError(f"{owner} expects points (..., {features}), got shape {tuple(x.shape)}")
