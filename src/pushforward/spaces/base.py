"""What every space is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.errors import UsageError
from pushforward.parts import Part

ANY = -1
"""A size that is not known."""


class Space(Part):
    """A set of events of one shape.

    Attributes:
        shape: of one event, ``ANY`` where a size is not known.
        discrete: whether the points are isolated from each other, so that densities are masses.

    Example:
        >>> import pushforward as pf
        >>> unit = pf.spaces.Interval(0.0, 1.0, (2,))
        >>> unit.contains(torch.tensor([[0.2, 0.9], [0.2, 1.1]]))
        tensor([ True, False])
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
        """Return ``x`` with the events outside of the space moved well into it, and which lie inside.

        Those stay as they are: gradients pass through integers that a straight-through estimator rounded.

        Example:
            >>> from pushforward.spaces import Interval
            >>> Interval(0.0, 1.0, (2,)).inside(torch.tensor([[0.5, 1.0], [0.5, 1.5]]))
            (tensor([[0.5000, 1.0000],
                    [0.5000, 0.5000]]), tensor([ True, False]))
        """
        inside = self.contains(x)
        whole = inside.reshape(*inside.shape, *[1] * len(self.shape))
        return torch.where(whole, x, self.in_place_of(x)), inside

    def in_place_of(self, x: Tensor) -> Tensor:
        """Return events of the space that can stand in the place of any of ``x``: where a density on the space may be
        singular at its boundary, they lie off it, so that gradients stay finite."""
        return self.nearest(x)

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
        return Inside(self)

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

    Raises:
        UsageError: if ``shape`` is no whole number or several of them.

    Example:
        >>> from pushforward.spaces import Integers
        >>> Anything((ANY, 4)).fits(Integers(0, 3, (2, 4)))
        True
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = as_shape(shape)

    def contains(self, x: Tensor) -> Tensor:
        return all_true(x, self.shape)

    @property
    def everywhere(self) -> bool:
        return True

    def with_shape(self, shape: Sequence[int]) -> Anything:
        return Anything(shape)


def as_shape(shape: int | Sequence[int]) -> torch.Size:
    """Return a shape, of which a number is one dimension.

    Raises:
        UsageError: if it is neither a whole number nor a sequence of them.

    Example:
        >>> as_shape(3), as_shape((1, 8, 8))
        (torch.Size([3]), torch.Size([1, 8, 8]))
    """
    try:
        return torch.Size([shape] if isinstance(shape, int) else shape)
    except TypeError:
        raise UsageError(f"a shape expects a whole number or several, got {shape!r}") from None


def fits_shape(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two shapes are equal where both are known.

    Raises:
        nothing.

    Example:
        >>> fits_shape((3, ANY), (3, 8)), fits_shape((3,), (3, 1))
        (True, False)
    """
    return len(one) == len(other) and all(a == b or ANY in (a, b) for a, b in zip(one, other, strict=True))


class Inside(constraints.Constraint):
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


def independent(constraint: constraints.Constraint, shape: torch.Size) -> constraints.Constraint:
    return constraints.independent(constraint, len(shape)) if shape else constraint


def all_of_event(inside: Tensor, shape: torch.Size) -> Tensor:
    return inside.all(dim=tuple(range(-len(shape), 0))) if shape else inside


def all_true(x: Tensor, shape: torch.Size) -> Tensor:
    return torch.ones(x.shape[: x.dim() - len(shape)], dtype=torch.bool, device=x.device)


def wider(shape: torch.Size, count: int) -> torch.Size:
    """The shape of ``count`` features for each element of a vector, or each channel."""
    return torch.Size([count, *shape]) if not shape else torch.Size([count * shape[0], *shape[1:]])


def side_by_side(features: list[Tensor], dims: int) -> Tensor:
    if dims == 0:
        return torch.stack(features, -1)
    return torch.stack(features, -dims).flatten(-dims - 1, -dims)
