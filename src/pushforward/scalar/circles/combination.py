"""Convex combinations of maps of the circle, and maps turned so that they can be combined."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.kernels.iteration import separate
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.circles.base import CircleMap
from pushforward.scalar.root import TOLERANCE, Increasing, invert, solve


class ConvexCombination(CircleMap):
    r"""A convex combination of maps of the circle that keep 0, ``lift(x) = sum_k w_k lift_k(x)``, ``sum_k w_k = 1``
    (Rezende et al. 2020, Normalizing Flows on Tori and Spheres, arXiv:2002.02428).

    A combination of Moebius maps makes mixtures of wrapped Cauchy densities, which come near to every density on the
    circle. The density is as smooth as the maps, with no seam.

    Parameters per element, in this order: those of the copies of the first map, copy by copy, of the second map, and so
    on; the logits of the weights, in the same order. At zeros the copies differ a little, and the combination is close
    to the identity. The inverse is iterative, see ``tolerance``: the root of a number between 0 and one turn lies
    between 0 and one turn. Gradients through it are by implicit differentiation.

    Args:
        *maps: maps of one circle, all of which keep 0 where it is (:class:`Centred` makes such maps of any).
        copies: how many of each there are.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with
    ``P = copies (P_1 + 1) + copies (P_2 + 1) + ...``.

    Raises:
        UsageError: no map, what is not a map of the circle, one that moves 0, maps of different circles, or less than
            one copy.

    Example:
        >>> from pushforward.scalar import Moebius
        >>> combination = ConvexCombination(Moebius(), copies=8)
        >>> x, parameters = torch.tensor([-3.0, 0.0, 2.0]), torch.randn(3, combination.num_parameters)
        >>> z, log_dz = combination.forward(x, parameters)
        >>> bool(torch.allclose(combination.inverse(z, parameters)[0], x, atol=1e-4))
        True
    """

    tolerance = TOLERANCE
    keeps_zero = True

    def __init__(self, *maps: CircleMap, copies: int = 8) -> None:
        check_maps("ConvexCombination", maps)
        check_counts("ConvexCombination", copies=copies)
        for part in maps:
            if not part.keeps_zero:
                raise UsageError(
                    f"ConvexCombination expects maps that keep 0 where it is, got {part}: write Centred({part})"
                )
        self.maps = maps
        self.copies = copies
        self.domain = self.codomain = maps[0].domain
        self._sizes = [copies * part.num_parameters for part in maps]
        self.num_parameters = sum(self._sizes) + copies * len(maps)
        self._spreads = [part.spread(copies) for part in maps]

    def lift(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._combined(x, *self._constrain(parameters))

    def lift_value(self, x: Tensor, parameters: Tensor) -> Tensor:
        own, log_weights = self._constrain(parameters)
        values = [part.lift_value(x.unsqueeze(-1), mine) for part, mine in zip(self.maps, own)]
        return (torch.exp(log_weights) * torch.cat(values, -1)).sum(-1)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        x, log_dx = invert(*self._equation(z, parameters))
        return self.domain.wrap(x), log_dx

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return self.domain.wrap(solve(*self._equation(z, parameters)))

    def _equation(self, z: Tensor, parameters: Tensor) -> tuple[Increasing, Tensor, Tensor, Tensor]:
        """The lift, what it should reach, and numbers below and above the root."""
        own, log_weights = separate(self._constrain(parameters))
        z, nothing = self.domain.wrap(z), torch.zeros_like(z)
        turn = torch.where(z < 0, nothing - self.domain.period, nothing + self.domain.period)
        return lambda x: self._combined(x, own, log_weights), z, nothing, turn

    def _combined(self, x: Tensor, own: list[Tensor], log_weights: Tensor) -> tuple[Tensor, Tensor]:
        values, log_slopes = zip(*(part.lift(x.unsqueeze(-1), mine) for part, mine in zip(self.maps, own)))
        z = (torch.exp(log_weights) * torch.cat(values, -1)).sum(-1)
        return z, torch.logsumexp(log_weights + torch.cat(log_slopes, -1), -1)

    def _constrain(self, parameters: Tensor) -> tuple[list[Tensor], Tensor]:
        """The parameters of each map's copies ``(..., copies, P)``, and the log-weights."""
        *own, logits = parameters.split([*self._sizes, self.copies * len(self.maps)], -1)
        spread = [
            mine.unflatten(-1, (self.copies, part.num_parameters)) + offsets.to(parameters)
            for part, mine, offsets in zip(self.maps, own, self._spreads)
        ]
        return spread, torch.log_softmax(logits, -1)


class Centred(CircleMap):
    r"""Maps of the circle one after the other, turned so that 0 stays 0, ``lift(x) = h(x) - h(0)``.

    With it maps that move 0, circular splines above all, and compositions of maps can stand in a
    :class:`ConvexCombination`.

    Parameters per element: those of the first map, then of the second, and so on.

    Args:
        *maps: maps of one circle, the first to be applied first.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = P_1 + P_2 + ...``.

    Raises:
        UsageError: no map, what is not a map of the circle, or maps of different circles.

    Source: Rezende et al. (2020), Normalizing Flows on Tori and Spheres, arXiv:2002.02428: maps that fix 0, and a
    rotation for itself.

    Example:
        >>> from pushforward.scalar import CircularRationalQuadraticSpline, Moebius
        >>> centred = Centred(CircularRationalQuadraticSpline(bins=4), Moebius())
        >>> z, _ = centred.forward(torch.zeros(()), torch.randn(centred.num_parameters))
        >>> z.item()
        0.0
    """

    keeps_zero = True

    def __init__(self, *maps: CircleMap) -> None:
        check_maps("Centred", maps)
        self.maps = maps
        self.domain = self.codomain = maps[0].domain
        self._sizes = [part.num_parameters for part in maps]
        self.num_parameters = sum(self._sizes)
        self.tolerance = max((part.tolerance for part in maps if part.tolerance is not None), default=None)

    def lift(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        centre, total = self._centre(parameters), torch.zeros_like(x)
        for part, own in self._parts(parameters):
            x, log_slope = part.lift(x, own)
            total = total + log_slope
        return x - centre, total

    def lift_value(self, x: Tensor, parameters: Tensor) -> Tensor:
        return self._composed(x, parameters) - self._centre(parameters)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        x, total = z + self._centre(parameters), torch.zeros_like(z)
        for part, own in reversed(self._parts(parameters)):
            x, log_slope = part.inverse(x, own)
            total = total + log_slope
        return x, total

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        x = z + self._centre(parameters)
        for part, own in reversed(self._parts(parameters)):
            x = part.decode(x, own)
        return x

    def spread(self, copies: int) -> Tensor:
        return torch.cat([part.spread(copies) for part in self.maps], -1)

    def _centre(self, parameters: Tensor) -> Tensor:
        """Where 0 would be led."""
        return self._composed(torch.zeros_like(parameters[..., 0]), parameters)

    def _composed(self, x: Tensor, parameters: Tensor) -> Tensor:
        for part, own in self._parts(parameters):
            x = part.lift_value(x, own)
        return x

    def _parts(self, parameters: Tensor) -> list[tuple[CircleMap, Tensor]]:
        return list(zip(self.maps, parameters.split(self._sizes, -1)))


def check_maps(owner: str, maps: tuple[CircleMap, ...]) -> None:
    """Raise UsageError unless these are maps of one circle."""
    if not maps:
        raise UsageError(f"{owner} needs at least one map of the circle, got none: give it some")
    for part in maps:
        if not isinstance(part, CircleMap):
            raise UsageError(f"{owner} expects maps of the circle such as Moebius(), got {part!r}: make them first")
        if part.domain != maps[0].domain:
            raise UsageError(f"{owner} expects maps of one circle, got {maps[0].domain} and {part.domain}")
