"""Vectors whose elements are of several kinds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from pushforward.errors import ShapeError, UsageError
from pushforward.spaces.base import Space


class Product(Space):
    """Vectors whose elements are of several kinds, one space after the other.

    Args:
        *spaces: spaces of vectors.

    Raises:
        UsageError: if a space is not one of vectors.

    Example:
        >>> from pushforward.spaces import Circle, Reals
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

    def in_place_of(self, x: Tensor) -> Tensor:
        return torch.cat([space.in_place_of(part) for space, part in self._parts(x)], -1)

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

    Raises:
        UsageError: of no element.

    Example:
        >>> from pushforward.spaces import Circle, Reals
        >>> product_of([Reals(), Reals(), Circle()])
        Product(Reals(shape=(2,)), Circle(shape=(1,), low=-3.141592653589793, high=3.141592653589793))
    """
    groups = [list(group) for _, group in groupby(elements, key=lambda space: (type(space), space._kind()))]
    spaces = [group[0].with_shape((len(group),)) for group in groups]
    return spaces[0] if len(spaces) == 1 else Product(*spaces)
