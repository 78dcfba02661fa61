"""Spaces: where events live. A transform leads from one space to another, a distribution has one as its support.

A space knows which points it contains, how many dimensions it has intrinsically, its constraint in
``torch.distributions``, and how a network should see its points, so that a conditioner is continuous around a circle
without anybody thinking of it.

A space of which a part does not know all sizes (a normalisation of images does not know their height) has ``ANY`` in
their places.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.errors import ShapeError, UsageError
from pushforward.parts import Part

ANY = -1
"""A size that is not known."""


class Space(Part):
    """A set of events of one shape.

    Attributes:
        shape: of one event, ``ANY`` where a size is not known.
        discrete: whether the points are isolated from each other, so that densities are masses.
    """

    shape: torch.Size
    discrete: bool = False

    @abstractmethod
    def contains(self, x: Tensor) -> Tensor:
        """Return which events of ``x`` lie in the space, of ``x``'s batch shape."""

    def nearest(self, x: Tensor) -> Tensor:
        """Return ``x`` with elements outside of the space moved into it, so that what follows stays finite."""
        return x

    def inside(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x`` with the events outside of the space moved into it, and which lie inside.

        Those stay as they are: gradients pass through integers that a straight-through estimator rounded.
        """
        inside = self.contains(x)
        whole = inside.reshape(*inside.shape, *[1] * len(self.shape))
        return torch.where(whole, x, self.nearest(x)), inside

    @property
    def everywhere(self) -> bool:
        """Whether every tensor of the shape is a point, so that nothing needs to be checked."""
        return False

    @property
    def dimensions(self) -> int:
        """How many dimensions the space has intrinsically."""
        return self.shape.numel()

    @property
    def constraint(self) -> constraints.Constraint:
        """The space as a constraint of ``torch.distributions``."""
        return _Inside(self)

    @property
    def features_shape(self) -> torch.Size:
        """The shape of :meth:`features` of one event."""
        return self.shape

    def features(self, x: Tensor) -> Tensor:
        """Return the points as a network should see them, those of each element (or channel) side by side."""
        return x

    @abstractmethod
    def with_shape(self, shape: Sequence[int]) -> Space:
        """Return the same kind of space for events of another shape."""

    def select(self, index: Sequence[int]) -> Space:
        """Return the space of some of the elements of a vector, or channels of an image, in this order."""
        return self.with_shape((len(index), *self.shape[1:]))

    def elements(self) -> list[Space]:
        """Return the spaces of a vector's elements, each of shape ``()``."""
        return [self.with_shape(()) for _ in range(self.shape[0])]

    def _kind(self) -> tuple[object, ...]:
        """What two spaces of the same kind have in common, whatever their shapes."""
        return (type(self),)

    def same_kind(self, other: Space) -> bool:
        """Whether the spaces are equal but for their shapes."""
        return isinstance(other, Anything) or isinstance(self, Anything) or self._kind() == other._kind()

    def within(self, other: Space) -> bool:
        """Whether every point of this space is one of ``other``, shapes aside."""
        return self.same_kind(other)

    def fits(self, other: Space) -> bool:
        """Whether the spaces are equal where both know their shape."""
        return self.same_kind(other) and fits_shape(self.shape, other.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._kind() == other._kind() and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((self._kind(), tuple(self.shape)))


class Anything(Space):
    """Whatever the neighbours are: the domain of what only moves elements about.

    Example:
        >>> Anything((ANY, 4)).fits(Integers(0, 3, (2, 4)))
        True
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = torch.Size(shape)

    def contains(self, x: Tensor) -> Tensor:
        return _all_true(x, self.shape)

    @property
    def everywhere(self) -> bool:
        return True

    def with_shape(self, shape: Sequence[int]) -> Anything:
        return Anything(shape)


class Reals(Space):
    """All real numbers, ``R^shape``.

    Example:
        >>> Reals((3,)).dimensions, Reals((3,)).constraint.event_dim
        (3, 1)
    """

    def __init__(self, shape: Sequence[int] = ()) -> None:
        self.shape = torch.Size(shape)

    def contains(self, x: Tensor) -> Tensor:
        return _all(torch.isfinite(x), self.shape)

    @property
    def everywhere(self) -> bool:
        return True

    @property
    def constraint(self) -> constraints.Constraint:
        return _independent(constraints.real, self.shape)

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
        self.low, self.high, self.shape = float(low), float(high), torch.Size(shape)

    def contains(self, x: Tensor) -> Tensor:
        return _all((x >= self.low) & (x <= self.high) & torch.isfinite(x), self.shape)

    def nearest(self, x: Tensor) -> Tensor:
        return torch.nan_to_num(x).clamp(self.low, self.high)

    @property
    def constraint(self) -> constraints.Constraint:
        if math.isfinite(self.low) and math.isfinite(self.high):
            return _independent(constraints.interval(self.low, self.high), self.shape)
        if math.isfinite(self.low):
            return _independent(constraints.greater_than_eq(self.low), self.shape)
        return _independent(constraints.less_than(self.high), self.shape)

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
        self.shape, self.low, self.high = torch.Size(shape), float(low), float(high)

    @property
    def period(self) -> float:
        """How far it is once round."""
        return self.high - self.low

    def contains(self, x: Tensor) -> Tensor:
        return _all((x >= self.low) & (x <= self.high), self.shape)

    def nearest(self, x: Tensor) -> Tensor:
        return torch.nan_to_num(x).clamp(self.low, self.high)

    def wrap(self, x: Tensor) -> Tensor:
        """Return the same points, of any number of turns, between ``low`` and ``high``."""
        turns = torch.floor((x - self.low) / self.period)
        # Rounding can leave the wrapped angle an ulp outside.
        return (x - self.period * turns).clamp(self.low, self.high)

    @property
    def constraint(self) -> constraints.Constraint:
        return _independent(constraints.interval(self.low, self.high), self.shape)

    @property
    def features_shape(self) -> torch.Size:
        return _wider(self.shape, 2)

    def features(self, x: Tensor) -> Tensor:
        angle = x * (2 * math.pi / self.period)
        return _side_by_side([torch.cos(angle), torch.sin(angle)], len(self.shape))

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
        return (torch.linalg.vector_norm(x, dim=-1) - 1).abs() < self.TOLERANCE

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


class Integers(Space):
    """Whole numbers from ``low`` to ``high``, both included; None for no bound.

    Raises:
        UsageError: if ``low`` is above ``high``.

    Example:
        >>> Integers(0, 3, (2,)).contains(torch.tensor([[0.0, 3.0], [0.0, 4.0], [0.5, 1.0]]))
        tensor([ True, False, False])
    """

    discrete = True

    def __init__(self, low: int | None = None, high: int | None = None, shape: Sequence[int] = ()) -> None:
        if low is not None and high is not None and low > high:
            raise UsageError(f"Integers expects low <= high, got {low} and {high}")
        self.low, self.high, self.shape = low, high, torch.Size(shape)

    @property
    def count(self) -> int | None:
        """How many values an element takes, None without a bound."""
        return None if self.low is None or self.high is None else self.high - self.low + 1

    def contains(self, x: Tensor) -> Tensor:
        inside = x == torch.round(x) if x.is_floating_point() else torch.ones_like(x, dtype=torch.bool)
        if self.low is not None:
            inside = inside & (x >= self.low)
        if self.high is not None:
            inside = inside & (x <= self.high)
        return _all(inside, self.shape)

    def nearest(self, x: Tensor) -> Tensor:
        if x.is_floating_point():
            x = torch.round(torch.nan_to_num(x))
        return x if self.low is None and self.high is None else x.clamp(self.low, self.high)

    @property
    def constraint(self) -> constraints.Constraint:
        if self.low is None or self.high is None:
            return _Inside(self)
        return _independent(constraints.integer_interval(self.low, self.high), self.shape)

    def with_shape(self, shape: Sequence[int]) -> Integers:
        return Integers(self.low, self.high, shape)

    def within(self, other: Space) -> bool:
        if not isinstance(other, Integers):
            return isinstance(other, Anything)
        above = other.low is None or (self.low is not None and self.low >= other.low)
        return above and (other.high is None or (self.high is not None and self.high <= other.high))

    def _kind(self) -> tuple[object, ...]:
        return (Integers, self.low, self.high)


class Categories(Integers):
    """The numbers ``0 ... classes - 1`` as names without an order: a network sees them one-hot.

    Example:
        >>> Categories(3, (2,)).features(torch.tensor([0.0, 2.0]))
        tensor([1., 0., 0., 0., 0., 1.])
    """

    def __init__(self, classes: int, shape: Sequence[int] = ()) -> None:
        if classes < 1:
            raise UsageError(f"Categories expects at least one class, got {classes}")
        super().__init__(0, classes - 1, shape)
        self.classes = classes

    @property
    def features_shape(self) -> torch.Size:
        return _wider(self.shape, self.classes)

    def features(self, x: Tensor) -> Tensor:
        every = torch.arange(self.classes, device=x.device)
        dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
        return _side_by_side(list((x.unsqueeze(-1) == every).to(dtype).unbind(-1)), len(self.shape))

    def with_shape(self, shape: Sequence[int]) -> Categories:
        return Categories(self.classes, shape)

    def _kind(self) -> tuple[object, ...]:
        # A category is an integer to all but the networks.
        return (Integers, self.low, self.high)


class OneHot(Space):
    """One-hot vectors, ``D`` of ``K`` numbers each of which one is 1 and the others are 0.

    Example:
        >>> OneHot(2, 3).contains(torch.eye(3)[[0, 2]])
        tensor(True)
    """

    discrete = True

    def __init__(self, variables: int, classes: int) -> None:
        self.variables, self.classes, self.shape = variables, classes, torch.Size([variables, classes])

    def contains(self, x: Tensor) -> Tensor:
        return (((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1)).all(-1)

    def nearest(self, x: Tensor) -> Tensor:
        largest = x.argmax(-1, keepdim=True)
        return torch.where(self.contains(x)[..., None, None], x, torch.zeros_like(x).scatter(-1, largest, 1.0))

    @property
    def dimensions(self) -> int:
        return self.variables

    def with_shape(self, shape: Sequence[int]) -> OneHot:
        return OneHot(shape[0], shape[1])

    def _kind(self) -> tuple[object, ...]:
        return (OneHot, self.classes)


class Product(Space):
    """Vectors whose elements are of several kinds, one space after the other.

    Args:
        *spaces: spaces of vectors.

    Raises:
        UsageError: if a space is not one of vectors.

    Example:
        >>> space = Product(Reals((2,)), Circle((1,)))
        >>> space.shape, space.dimensions, space.features_shape
        (torch.Size([3]), 3, torch.Size([4]))
    """

    def __init__(self, *spaces: Space) -> None:
        if not spaces or any(len(space.shape) != 1 for space in spaces):
            raise UsageError(f"Product expects spaces of vectors, got {', '.join(map(repr, spaces)) or 'none'}")
        self.spaces = spaces
        self.shape = torch.Size([sum(space.shape[0] for space in spaces)])
        self.discrete = all(space.discrete for space in spaces)

    def contains(self, x: Tensor) -> Tensor:
        return torch.stack([space.contains(part) for space, part in self._parts(x)]).all(0)

    def nearest(self, x: Tensor) -> Tensor:
        return torch.cat([space.nearest(part) for space, part in self._parts(x)], -1)

    @property
    def everywhere(self) -> bool:
        return all(space.everywhere for space in self.spaces)

    @property
    def dimensions(self) -> int:
        return sum(space.dimensions for space in self.spaces)

    @property
    def features_shape(self) -> torch.Size:
        return torch.Size([sum(space.features_shape[0] for space in self.spaces)])

    def features(self, x: Tensor) -> Tensor:
        return torch.cat([space.features(part) for space, part in self._parts(x)], -1)

    def with_shape(self, shape: Sequence[int]) -> Product:
        if tuple(shape) != tuple(self.shape):
            raise ShapeError(f"a product of spaces has events of shape {tuple(self.shape)}, got {tuple(shape)}")
        return self

    def select(self, index: Sequence[int]) -> Space:
        elements = self.elements()
        return product_of([elements[i] for i in index])

    def elements(self) -> list[Space]:
        return [element for space in self.spaces for element in space.elements()]

    def _parts(self, x: Tensor) -> list[tuple[Space, Tensor]]:
        pieces = x.split([space.shape[0] for space in self.spaces], -1)
        return list(zip(self.spaces, pieces, strict=True))

    def _kind(self) -> tuple[object, ...]:
        return (Product, *((space._kind(), tuple(space.shape)) for space in self.spaces))


def product_of(elements: Sequence[Space]) -> Space:
    """Return the space of vectors with these elements, each of shape ``()``; neighbours of one kind together.

    Example:
        >>> product_of([Reals(), Reals(), Circle()])
        Product(Reals(shape=(2,)), Circle(shape=(1,), low=-3.141592653589793, high=3.141592653589793))
    """
    groups = [list(group) for _, group in groupby(elements, key=lambda space: (type(space), space._kind()))]
    spaces = [group[0].with_shape((len(group),)) for group in groups]
    return spaces[0] if len(spaces) == 1 else Product(*spaces)


def as_context(context: int | Sequence[int] | Space | None) -> Space | None:
    """Return the space of a declared context: a number of features, a shape, a space, or 0 (or None) for none.

    Raises:
        UsageError: for a negative number of features, or something else.

    Example:
        >>> as_context(3), as_context((1, 28, 28)), as_context(0)
        (Reals(shape=(3,)), Reals(shape=(1, 28, 28)), None)
    """
    if context is None or isinstance(context, Space):
        return context
    if isinstance(context, bool):
        raise UsageError(f"context expects a number of features, a shape or a space, got {context}")
    if isinstance(context, int):
        if context < 0:
            raise UsageError(f"context expects a number of features of 0 or more, got {context}")
        return Reals((context,)) if context else None
    try:
        shape = torch.Size(context)
    except TypeError:
        raise UsageError(f"context expects a number of features, a shape or a space, got {context!r}") from None
    if len(shape) == 0 or min(shape) < 1:
        raise UsageError(f"context expects a shape of positive sizes, got {tuple(shape)}")
    return Reals(shape)


def fits_shape(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two shapes are equal where both are known."""
    return len(one) == len(other) and all(a == b or ANY in (a, b) for a, b in zip(one, other, strict=True))


class _Inside(constraints.Constraint):
    """A space that ``torch.distributions`` has no constraint for."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.is_discrete = space.discrete  # type: ignore[misc]
        self.event_dim = len(space.shape)  # type: ignore[misc]
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        return self.space.contains(value)

    def __repr__(self) -> str:
        return repr(self.space)


def _independent(constraint: constraints.Constraint, shape: torch.Size) -> constraints.Constraint:
    return constraints.independent(constraint, len(shape)) if shape else constraint


def _all(inside: Tensor, shape: torch.Size) -> Tensor:
    return inside.all(dim=tuple(range(-len(shape), 0))) if shape else inside


def _all_true(x: Tensor, shape: torch.Size) -> Tensor:
    return torch.ones(x.shape[: x.dim() - len(shape)], dtype=torch.bool, device=x.device)


def _wider(shape: torch.Size, count: int) -> torch.Size:
    """The shape of ``count`` features for each element of a vector, or each channel."""
    return torch.Size([count, *shape]) if not shape else torch.Size([count * shape[0], *shape[1:]])


def _side_by_side(features: list[Tensor], dims: int) -> Tensor:
    if dims == 0:
        return torch.stack(features, -1)
    return torch.stack(features, -dims).flatten(-dims - 1, -dims)
