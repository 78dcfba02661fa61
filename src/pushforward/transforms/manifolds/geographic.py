"""Places on the earth, in degrees, as points of the sphere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.spaces import Circle, Interval, Product, Space, Sphere
from pushforward.transforms.base import Bijection
from pushforward.transforms.manifolds.recursive import FLOOR, split


class GeographicCoordinates(Bijection):
    r"""Latitudes ``a`` and longitudes ``o`` in degrees as points of ``Sphere(2)``,
    ``z = (cos a cos o, cos a sin o, sin a)``, ``log_det = log(cos a) + 2 log(pi / 180)``.

    Densities in front of it are per square degree of latitude by longitude, those behind it per steradian. A square
    degree covers less of the sphere towards the poles, as :meth:`log_area` says, and the density per square degree
    falls with it: what lies within 1e-10 of a pole counts as lying so far from it, so that logarithms stay finite.

    Args:
        west: the least longitude; the greatest is 360 degrees farther and the same meridian.

    Raises:
        UsageError: if ``west`` is not finite.
        ShapeError: if the input is no pair of a latitude and a longitude, or backwards no vector of three numbers.

    Source: Snyder (1987), Map Projections: A Working Manual, U.S. Geological Survey Professional Paper 1395.

    Example:
        >>> places = GeographicCoordinates()
        >>> z, log_det = places(torch.tensor([[90.0, 0.0], [0.0, 90.0]]))
        >>> z.round(decimals=4) + 0.0
        tensor([[0., 0., 1.],
                [0., 1., 0.]])
        >>> bool(log_det[1] == 2 * math.log(math.pi / 180))
        True
    """

    def __init__(self, west: float = -180.0) -> None:
        super().__init__()
        if not math.isfinite(west):
            raise UsageError(f"GeographicCoordinates expects a finite longitude as west, got {west}")
        self.longitudes = Circle((1,), west, west + 360.0)
        self.domain, self.codomain = Product(Interval(-90.0, 90.0, (1,)), self.longitudes), Sphere(2)

    @classmethod
    def of(cls, space: Space) -> GeographicCoordinates | None:
        """Return the coordinates whose domain a space is, None for any other space."""
        circle = space.spaces[-1] if isinstance(space, Product) else None
        found = cls(circle.low) if isinstance(circle, Circle) else None
        return found if found is not None and found.domain == space else None

    def log_area(self, x: Tensor) -> Tensor:
        """Return the logarithm of the steradians that a square degree covers at places ``(..., 2)``: what is to be
        taken from a log-density per square degree to have it per steradian.

        Example:
            >>> area = GeographicCoordinates().log_area(torch.tensor([[0.0, 7.0], [60.0, 7.0]])).exp()
            >>> round((area[1] / area[0]).item(), 4), round(1 / area[0].item(), 1)
            (0.5, 3282.8)
        """
        least = max(FLOOR, torch.finfo(x.dtype).tiny)
        return torch.log(_distance_from_axis(x[..., 0]).clamp_min(least)) + 2.0 * math.log(math.pi / 180.0)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.encode(x, context), self.log_area(x)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.decode(z, context)
        return x, -self.log_area(x)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(x, context, self.domain)
        latitude, longitude = torch.deg2rad(x).unbind(-1)
        across = _distance_from_axis(x[..., 0])
        return torch.stack([across * torch.cos(longitude), across * torch.sin(longitude), torch.sin(latitude)], -1)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        direction, (height, radius), _ = split(z)
        # By atan2, which sees what lies near a pole where the arc sine sees nothing.
        latitude, longitude = torch.atan2(height, radius), torch.atan2(direction[..., 1], direction[..., 0])
        degrees = torch.rad2deg(torch.stack([latitude, torch.where(radius > 0, longitude, 0.0)], -1))
        longitude = degrees[..., 1]
        # A meridian at one of the ends stays there.
        within = (longitude >= self.longitudes.low) & (longitude <= self.longitudes.high)
        return torch.stack([degrees[..., 0], torch.where(within, longitude, self.longitudes.wrap(longitude))], -1)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape


def _distance_from_axis(latitude: Tensor) -> Tensor:
    """The cosine of a latitude in degrees, by the angle from the nearer pole, which no rounding to radians blurs."""
    return torch.sin(torch.deg2rad(90.0 - latitude.abs()))
