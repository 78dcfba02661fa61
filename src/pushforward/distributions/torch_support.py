"""The spaces that distributions of ``torch.distributions`` live on."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.errors import UsageError
from pushforward.spaces import Circle, Integers, Interval, OneHot, Reals, Space

Torch = torch.distributions.Distribution


def space_of(distribution: Torch) -> Space:
    """Return the support, with the batch as a part of the event.

    Raises:
        UsageError: if it is no space that is known, or depends on a parameter that is learned.

    Example:
        >>> space_of(torch.distributions.Exponential(torch.ones(2)))
        Interval(low=0.0, high=inf, shape=(2,))
    """
    constraint: Any = distribution.support
    while hasattr(constraint, "base_constraint"):
        constraint = constraint.base_constraint
    kind, shape = _kind(distribution), distribution.batch_shape + distribution.event_shape
    if kind is torch.distributions.VonMises:
        # Torch calls it a distribution on the reals, of which its density covers one turn.
        return Circle(shape, -math.pi, math.pi)
    if constraint is constraints.real or constraint is constraints.real_vector:
        return Reals(shape)
    if constraint is constraints.boolean:
        return Integers(0, 1, shape)
    if constraint is constraints.one_hot and len(shape) == 2:
        return OneHot(*shape)
    low, high = getattr(constraint, "lower_bound", None), getattr(constraint, "upper_bound", None)
    if constraint.event_dim or (low is None and high is None):
        raise UsageError(
            f"a base expects a distribution on numbers of the reals or an interval, on integers or on one-hot vectors "
            f"of shape (variables, classes), got {kind.__name__} on {constraint} of shape {tuple(shape)}: use one of "
            f"numbers, such as Categorical for counts of one draw, and a transform of the flow"
        )
    if any(isinstance(bound, Tensor) and bound.requires_grad for bound in (low, high)):
        raise UsageError(
            f"a base expects a support that stays where it is, got {kind.__name__}, whose bounds depend on a parameter "
            f"that is learned: give that as a tensor that does not require gradients, and learn the bounds with an "
            f"affine transform of the flow"
        )
    if constraint.is_discrete:
        return Integers(_integer(low), _integer(high), shape)
    return Interval(_number(low, -torch.inf), _number(high, torch.inf), shape)


def _kind(distribution: Torch) -> type[Torch]:
    while isinstance(distribution, torch.distributions.Independent):
        distribution = distribution.base_dist
    return type(distribution)


def _number(bound: Any, otherwise: float) -> float:
    if bound is None:
        return otherwise
    values = torch.as_tensor(bound)
    if bool((values != values.flatten()[0]).any()):
        raise UsageError("a base expects the same bounds in all dimensions, got several: use one base for each")
    return float(values.flatten()[0])


def _integer(bound: Any) -> int | None:
    return None if bound is None else round(_number(bound, 0.0))
