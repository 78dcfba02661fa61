"""What every map of the circle onto itself has besides its values: a lift, which counts the turns."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.scalar.base import ScalarBijection
from pushforward.spaces import Circle


class CircleMap(ScalarBijection):
    r"""An increasing map of a circle onto itself that goes round once.

    On the circle alone ``0.1`` and ``0.1 + 2 pi`` are one point, of which no mean can be taken. So a map is written by
    its lift, an increasing function of the whole line with ``lift(x + period) = lift(x) + period``; the map is the lift
    wrapped, and convex combinations and compositions of lifts are lifts again.

    To write one, set ``num_parameters`` and write :meth:`lift` and :meth:`inverse`; where the log-derivative costs
    something, write :meth:`lift_value` too.

    Attributes:
        domain: the circle, which is the codomain too.
        keeps_zero: whether the lift leads 0 to 0 whatever the parameters.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)``.

    Source: Rezende et al. (2020), Normalizing Flows on Tori and Spheres, arXiv:2002.02428, section 2.1.

    Example:
        >>> import pushforward as pf
        >>> turn, parameters = pf.scalar.Rotation(), torch.tensor([-1.0, 1.0])
        >>> turn.inverse(turn.forward(torch.tensor(0.5), parameters)[0], parameters)[0].round(decimals=4)
        tensor(0.5000)
    """

    domain: Circle = Circle()
    codomain: Circle = Circle()
    keeps_zero: bool = False

    @abstractmethod
    def lift(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lift and its log-derivative; ``x`` is broadcast against ``parameters[..., 0]``."""

    def lift_value(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return the lift alone."""
        return self.lift(x, parameters)[0]

    def spread(self, copies: int) -> Tensor:
        """Return offsets ``(copies, num_parameters)`` of the parameters of several copies of the map: with them the
        copies differ at zeros, so that they can learn different things, and their mean is close to the identity."""
        return torch.zeros(copies, self.num_parameters)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z, log_dz = self.lift(x, parameters)
        return self.domain.wrap(z), log_dz

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return self.domain.wrap(self.lift_value(x, parameters))
