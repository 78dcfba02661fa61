"""The von Mises distribution on circles, with given or learned parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.manifolds.von_mises_draws import draw_von_mises
from pushforward.errors import UsageError
from pushforward.numerics import bounded, sum_event
from pushforward.spaces import Circle

MAX_LOG_CONCENTRATION = 14.0
"""Bound on the logarithm of a learned concentration: up to 1.2 million."""

FAR, TERMS = 30.0, 16
"""From this concentration on so many terms of a Bessel function's expansion at infinity have the digits of a double."""


class VonMises(Distribution):
    r"""Independent von Mises distributions of angles, in radians,

    .. math:: \log p(x) = \sum_d \kappa (\cos(x_d - \mu) - 1) - \log(2 \pi I_0(\kappa) e^{-\kappa}).

    It is the normal distribution of the circle: of the largest entropy among those with its mean direction, uniform at
    ``kappa = 0`` and normal with variance ``1 / kappa`` where that is large. Nothing overflows or cancels, up to
    concentrations of a million and more. Angles are from ``-pi`` to ``pi``; those of other units are brought there by
    :class:`pushforward.transforms.Radians`. A temperature ``T`` divides the concentration by ``T^2``.

    Args:
        event_shape: the shape of one event.
        location: the mean direction ``mu``, of all dimensions.
        concentration: ``kappa``, 0 or more.

    Raises:
        UsageError: unless the location is finite and the concentration finite and not negative.

    Source: Mardia, Jupp (2000), Directional statistics, section 3.5.4.

    Example:
        >>> base = VonMises((2,), concentration=0.0)
        >>> round(base.log_prob(torch.zeros(2)).exp().item() * (2 * math.pi) ** 2, 4)
        1.0
    """

    def __init__(self, event_shape: Sequence[int], location: float = 0.0, concentration: float = 1.0) -> None:
        super().__init__()
        if not (math.isfinite(location) and 0 <= concentration < math.inf):
            raise UsageError(
                f"VonMises expects a finite location and a finite concentration of 0 or more, got location={location} "
                f"and concentration={concentration}"
            )
        self.support: Circle = Circle(event_shape)
        # Many turns away single precision would round the angle.
        self.location = math.remainder(location, 2.0 * math.pi)
        self.concentration = concentration
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return sum_event(log_von_mises(x - self.location, self._concentration()), len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        concentration = (self._concentration() / temperature**2).expand(batch + self.event_shape)
        return self.support.wrap(self.location + draw_von_mises(concentration, generator))

    def _concentration(self) -> Tensor:
        like: Tensor = self.like  # type: ignore[assignment]
        return like.new_full((), self.concentration)


class LearnedVonMises(Distribution):
    r"""Independent von Mises distributions of angles whose mean directions and concentrations are learned, one of each
    for each dimension.

    The direction is that of a learned point of the plane, which can turn all the way round, and ``kappa = exp(l)`` with
    a bounded ``l``. Samples carry gradients to both, by the implicit function theorem.

    Args:
        event_shape: the shape of one event.
        concentration: where the concentrations start.

    Raises:
        UsageError: unless ``concentration`` lies between 1e-5 and 1e5.

    Source: Figurnov, Mohamed, Mnih (2018), Implicit reparameterization gradients, arXiv:1805.08498.

    Example:
        >>> base = LearnedVonMises((3,), concentration=2.0)
        >>> base.locations().tolist(), [round(each, 4) for each in base.concentrations().tolist()]
        ([0.0, 0.0, 0.0], [2.0, 2.0, 2.0])
    """

    def __init__(self, event_shape: Sequence[int], concentration: float = 1.0) -> None:
        super().__init__()
        if not 1e-5 <= concentration <= 1e5:
            raise UsageError(f"LearnedVonMises expects a concentration of 1e-5 to 1e5 to start from: {concentration}")
        self.support: Circle = Circle(event_shape)
        level = math.log(concentration)
        raw = level / math.sqrt(1.0 - (level / MAX_LOG_CONCENTRATION) ** 2)
        self.raw_concentrations = nn.Parameter(torch.full(self.event_shape, raw))
        self.directions = nn.Parameter(torch.stack([torch.ones(self.event_shape), torch.zeros(self.event_shape)], -1))

    def locations(self) -> Tensor:
        """Return the mean directions in radians, of the event's shape."""
        return torch.atan2(self.directions[..., 1], self.directions[..., 0])

    def concentrations(self) -> Tensor:
        """Return the concentrations, of the event's shape."""
        return torch.exp(bounded(self.raw_concentrations, MAX_LOG_CONCENTRATION))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return sum_event(log_von_mises(x - self.locations(), self.concentrations()), len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        concentrations = (self.concentrations() / temperature**2).expand(batch + self.event_shape)
        return self.support.wrap(self.locations() + draw_von_mises(concentrations, generator))


def log_von_mises(angle: Tensor, concentration: Tensor) -> Tensor:
    """The log-density at an angle from the mean direction.

    Example:
        >>> at_the_mode = log_von_mises(torch.tensor(0.0), torch.tensor(1e6)).item()
        >>> abs(at_the_mode - math.log(math.sqrt(1e6 / (2 * math.pi)))) < 1e-5
        True
    """
    # cos - 1 by the half angle, in which nothing cancels.
    drop = 2.0 * torch.sin(0.5 * angle).square()
    return -concentration * drop - math.log(2.0 * math.pi) - _log_bessel(concentration)


def _log_bessel(concentration: Tensor) -> Tensor:
    r"""``log(I_0(kappa) e^{-kappa})``, with derivatives that keep their digits: that of ``i0e`` is a difference of two
    numbers which are nearly equal where ``kappa`` is large. There it is the expansion ``-log(2 pi kappa) / 2 + log
    sum_j ((2j - 1)!!)^2 / (j! (8 kappa)^j)`` (Abramowitz, Stegun 1964, 9.7.1)."""
    far = concentration > FAR
    near = torch.log(torch.special.i0e(torch.where(far, 1.0, concentration)))
    kappa = torch.where(far, concentration, FAR)
    rest = torch.zeros_like(kappa)
    for j in range(TERMS, 0, -1):
        rest = (2 * j - 1) ** 2 / (8 * j) / kappa * (1.0 + rest)
    return torch.where(far, torch.log1p(rest) - 0.5 * torch.log(2.0 * math.pi * kappa), near)
