"""Integers and categories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.errors import UsageError
from pushforward.spaces.base import Anything, Inside, Space, all_of_event, as_shape, independent, side_by_side, wider


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
        self.low, self.high, self.shape = low, high, as_shape(shape)

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
        return all_of_event(inside, self.shape)

    def nearest(self, x: Tensor) -> Tensor:
        if x.is_floating_point():
            x = torch.round(torch.nan_to_num(x))
        return x if self.low is None and self.high is None else x.clamp(self.low, self.high)

    @property
    def constraint(self) -> constraints.Constraint:
        if self.low is None or self.high is None:
            return Inside(self)
        return independent(constraints.integer_interval(self.low, self.high), self.shape)

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

    Raises:
        UsageError: for no class.

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
        return wider(self.shape, self.classes)

    def features(self, x: Tensor) -> Tensor:
        every = torch.arange(self.classes, device=x.device)
        dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
        return side_by_side(list((x.unsqueeze(-1) == every).to(dtype).unbind(-1)), len(self.shape))

    def with_shape(self, shape: Sequence[int]) -> Categories:
        return Categories(self.classes, shape)

    def _kind(self) -> tuple[object, ...]:
        # A category is an integer to all but the networks.
        return (Integers, self.low, self.high)


class OneHot(Space):
    """One-hot vectors, ``D`` of ``K`` numbers each of which one is 1 and the others are 0.

    Raises:
        nothing.

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
