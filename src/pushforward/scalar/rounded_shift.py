"""Shifts by whole numbers: the bijections of the integers that integer discrete flows are made of."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.scalar.base import ScalarBijection
from pushforward.spaces import Integers

# Integers up to 2^24 are exact in float32; shifts stay so far below it that thousands of units of data fit beside them.
LARGEST_SHIFT = 2.0**22


def round_straight_through(t: Tensor) -> Tensor:
    """Round to the nearest integer; the gradient passes as if nothing had been rounded (Bengio et al. 2013,
    arXiv:1308.3432).

    Example:
        >>> t = torch.tensor(1.7, requires_grad=True)
        >>> value = round_straight_through(t)
        >>> value.backward()
        >>> value.item(), t.grad.item()
        (2.0, 1.0)
    """
    # t - t.detach() is exactly zero, where t + (round(t) - t).detach() would be off by a rounding error.
    return torch.round(t).detach() + (t - t.detach())


class RoundedShift(ScalarBijection):
    r"""A shift by a whole number, ``z = x + round(unit t)``, with the straight-through gradient (Hoogeboom et al. 2019,
    Integer Discrete Flows, arXiv:1905.07376).

    On integers the map and its inverse are exact, bit for bit, as long as they stay below 2^24 in float32; shifts
    are cut off at 2^22. Parameters per element: the shift ``t``. The log-derivative is 0.

    Args:
        unit: the order of magnitude of the data, so that networks emit numbers around 1.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 1``.

    Raises:
        UsageError: for a unit that is not positive.

    Example:
        >>> z, _ = RoundedShift().forward(torch.tensor([3.0]), torch.tensor([[1.7]]))
        >>> z
        tensor([5.])
    """

    num_parameters = 1
    domain = codomain = Integers()

    def __init__(self, unit: float = 1.0) -> None:
        check_positive("RoundedShift", unit=unit)
        self.unit = unit

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z = x + self.shift(parameters)
        return z, torch.zeros_like(z)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        x = z - self.shift(parameters)
        return x, torch.zeros_like(x)

    def shift(self, parameters: Tensor) -> Tensor:
        """Return the whole number that is added."""
        return round_straight_through((self.unit * parameters[..., 0]).clamp(-LARGEST_SHIFT, LARGEST_SHIFT))


class CyclicShift(ScalarBijection):
    r"""A shift by a whole number round the circle of ``levels`` values, ``z = (x + round(unit t)) mod levels``.

    It keeps integers from ``0`` to ``levels - 1`` in that range, so that a base with bounds fits behind it: no mass
    is lost on values that the data cannot take. The gradient is straight-through. It is the addition of proposition
    3.1 (Tomczak 2020, arXiv:2011.15056) taken modulo ``levels``; it is increasing only up to where it wraps.

    Args:
        levels: how many values there are.
        unit: the order of magnitude of a shift, so that networks emit numbers around 1.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 1``.

    Raises:
        UsageError: for fewer than one level or a unit that is not positive.

    Example:
        >>> z, _ = CyclicShift(17).forward(torch.tensor([16.0]), torch.tensor([[2.0]]))
        >>> z
        tensor([1.])
    """

    num_parameters = 1

    def __init__(self, levels: int, unit: float = 1.0) -> None:
        check_counts("CyclicShift", levels=levels)
        check_positive("CyclicShift", unit=unit)
        self.levels = levels
        self.domain = self.codomain = Integers(0, levels - 1)
        self._shift = RoundedShift(unit)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z, log_dz = self._shift.forward(x, parameters)
        return torch.remainder(z, self.levels), log_dz

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        x, log_dx = self._shift.inverse(z, parameters)
        return torch.remainder(x, self.levels), log_dx
