"""Numbers, intervals, circles and spheres."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.errors import ShapeError, UsageError
from pushforward.spaces.base import Anything, Space, all_of_event, as_shape, independent, side_by_side, wider


class Reals(Space):
    """All real numbers, ``R^shape``.

    Raises:
        UsageError: if ``shape`` is no whole number or several of them.

    Example:
        >>> Reals((3,)).dimensions, Reals((3,)).constraint.event_dim
        (3, 1)
    """

    def __init__(self, shape: Sequence[int] = ()) -> None:
        self.shape = as_shape(shape)

    def contains(self, x: Tensor) -> Tensor:
        return all_of_event(torch.isfinite(x), self.shape)

    @property
    def everywhere(self) -> bool:
        return True

    @property
    def constraint(self) -> constraints.Constraint:
        return independent(constraints.real, self.shape)

    def with_shape(self, shape: Sequence[int]) -> Reals:
        return Reals(shape)


class Interval(Space):
    """Numbers from ``low`` to ``high``, either of which may be infinite.

    Raises:
        UsageError: unless ``low < high``.

    Example:
        >>> Interval(0.0, 1.0, (2,)).contains(torch.tensor([[0.5, 1.0], [0.5, 1.5]]))
        tensor([ True, False])
    """

    def __init__(self, low: float, high: float, shape: Sequence[int] = ()) -> None:
        if not low < high:
            raise UsageError(f"Interval expects low < high, got {low} and {high}")
        self.low, self.high, self.shape = float(low), float(high), as_shape(shape)

    def contains(self, x: Tensor) -> Tensor:
        return all_of_event((x >= self.low) & (x <= self.high) & torch.isfinite(x), self.shape)

    def nearest(self, x: Tensor) -> Tensor:
        return torch.nan_to_num(x).clamp(self.low, self.high)

    def in_place_of(self, x: Tensor) -> Tensor:
        return torch.full_like(x, self._inner)

    @property
    def _inner(self) -> float:
        """A point off the ends."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return self.low / 2 + self.high / 2
        if math.isfinite(self.low):
            # A step that no rounding swallows.
            return self.low + max(1.0, abs(self.low))
        return self.high - max(1.0, abs(self.high)) if math.isfinite(self.high) else 0.0

    @property
    def constraint(self) -> constraints.Constraint:
        if math.isfinite(self.low) and math.isfinite(self.high):
            return independent(constraints.interval(self.low, self.high), self.shape)
        if math.isfinite(self.low):
            return independent(constraints.greater_than_eq(self.low), self.shape)
        return independent(constraints.less_than(self.high), self.shape)

    def within(self, other: Space) -> bool:
        if isinstance(other, Interval):
            return self.low >= other.low and self.high <= other.high
        return isinstance(other, Reals | Anything)

    def with_shape(self, shape: Sequence[int]) -> Interval:
        return Interval(self.low, self.high, shape)

    def _kind(self) -> tuple[object, ...]:
        return (Interval, self.low, self.high)


class Circle(Space):
    """Angles (or hours, months, degrees) from ``low`` to ``high``, where the two ends are one point.

    A network sees the cosine and the sine of each angle.

    Raises:
        UsageError: unless ``low < high`` and both are finite.

    Example:
        >>> Circle((1,), 0.0, 24.0).features(torch.tensor([6.0])).round(decimals=4) + 0.0
        tensor([0., 1.])
    """

    def __init__(self, shape: Sequence[int] = (), low: float = -math.pi, high: float = math.pi) -> None:
        if not (low < high and math.isfinite(high - low)):
            raise UsageError(f"Circle expects finite low < high, got {low} and {high}")
        self.shape, self.low, self.high = as_shape(shape), float(low), float(high)

    @property
    def period(self) -> float:
        """How far it is once round."""
        return self.high - self.low

    def contains(self, x: Tensor) -> Tensor:
        # The two ends are one point, which single precision may have rounded to a little beyond.
        slack = 1e-6 * self.period
        return all_of_event((x >= self.low - slack) & (x <= self.high + slack), self.shape)

    def nearest(self, x: Tensor) -> Tensor:
        return torch.nan_to_num(x).clamp(self.low, self.high)

    def wrap(self, x: Tensor) -> Tensor:
        """Return the same points, of any number of turns, between ``low`` and ``high``."""
        turns = torch.floor((x - self.low) / self.period)
        # Rounding can leave the wrapped angle an ulp outside.
        return (x - self.period * turns).clamp(self.low, self.high)

    @property
    def constraint(self) -> constraints.Constraint:
        return independent(constraints.interval(self.low, self.high), self.shape)

    @property
    def features_shape(self) -> torch.Size:
        return wider(self.shape, 2)

    def features(self, x: Tensor) -> Tensor:
        angle = x * (2 * math.pi / self.period)
        return side_by_side([torch.cos(angle), torch.sin(angle)], len(self.shape))

    def with_shape(self, shape: Sequence[int]) -> Circle:
        return Circle(shape, self.low, self.high)

    def _kind(self) -> tuple[object, ...]:
        # Cut open it is an interval to all but the networks: a uniform base on one is a base of the other.
        return (Interval, self.low, self.high)


class Sphere(Space):
    """The unit sphere ``S^n`` as vectors of length 1 in ``R^(n + 1)``.

    Raises:
        UsageError: for less than one dimension.

    Example:
        >>> Sphere(2).shape, Sphere(2).dimensions
        (torch.Size([3]), 2)
    """

    TOLERANCE = 1e-4

    def __init__(self, n: int) -> None:
        if n < 1:
            raise UsageError(f"Sphere expects at least one dimension, got {n}")
        self.n, self.shape = n, torch.Size([n + 1])

    def contains(self, x: Tensor) -> Tensor:
        # Half precision knows lengths less exactly, of coordinates that are rounded.
        length = torch.linalg.vector_norm(x, dim=-1, dtype=torch.promote_types(x.dtype, torch.float32))
        return (length - 1).abs() < max(self.TOLERANCE, torch.finfo(x.dtype).eps)

    def nearest(self, x: Tensor) -> Tensor:
        # Scaled first, so that no square over- or underflows.
        x = torch.nan_to_num(x)
        x = x / x.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        north = torch.zeros_like(x)
        north[..., -1] = 1.0
        return torch.where(norm > 0.5, x / norm.clamp_min(0.5), north)

    @property
    def dimensions(self) -> int:
        return self.n

    def with_shape(self, shape: Sequence[int]) -> Sphere:
        if tuple(shape) != tuple(self.shape):
            raise ShapeError(f"Sphere({self.n}) expects events of shape {tuple(self.shape)}, got {tuple(shape)}")
        return self

    def elements(self) -> list[Space]:
        raise UsageError(
            "the coordinates of a point on a sphere are not free of each other: use a transform of spheres"
        )

    def _kind(self) -> tuple[object, ...]:
        return (Sphere, self.n)
