"""The bounds of distributions: the smallest box around what they draw."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Independent,
    IndependentTransform,
    MixtureSameFamily,
    TransformedDistribution,
    VonMises,
    constraints,
)

from pushforward.errors import UsageError

Bounds = tuple[Tensor, Tensor]
"""The lowest and the highest."""


def bounds(distribution: Any) -> Bounds:
    """Return the lowest and the highest of each number, infinite where there is none; they broadcast with an event.

    A distribution without a support, which need not be one of ``torch.distributions``, has none.

    Raises:
        UsageError: if numbers are discrete, or their bounds hang on each other or are not told.

    Example:
        >>> from torch.distributions import AffineTransform, Beta
        >>> bounds(TransformedDistribution(Beta(2.0, 2.0), [AffineTransform(1.0, -10.0)]))
        (tensor(-9.), tensor(1.))
    """
    if isinstance(distribution, Independent):
        return bounds(distribution.base_dist)
    if isinstance(distribution, MixtureSameFamily):
        return _of_components(distribution)
    if isinstance(distribution, VonMises):
        # Its support says the reals; what it draws are angles.
        return torch.tensor(-math.pi), torch.tensor(math.pi)
    if type(distribution) is TransformedDistribution:
        return _transformed(distribution)
    return _told(distribution)


def _told(distribution: Any) -> Bounds:
    """Those of the support."""
    try:
        constraint = getattr(distribution, "support", constraints.real)
    except NotImplementedError:
        constraint = constraints.real
    while isinstance(constraint, constraints.independent):
        constraint = constraint.base_constraint
    limits = None if constraint.is_discrete else _limits(constraint)
    if limits is None:
        raise UsageError(
            f"a prior expects parameters that are real numbers, each with bounds of its own or none, got "
            f"{type(distribution).__name__} on {constraint}"
        )
    return limits


def _limits(constraint: Any) -> Bounds | None:
    """Those of a constraint of numbers, each by itself; None of another."""
    if constraint.event_dim or not (
        constraint is constraints.real or hasattr(constraint, "lower_bound") or hasattr(constraint, "upper_bound")
    ):
        return None
    low, high = getattr(constraint, "lower_bound", -torch.inf), getattr(constraint, "upper_bound", torch.inf)
    dtype = torch.get_default_dtype()
    return torch.as_tensor(low, dtype=dtype).detach(), torch.as_tensor(high, dtype=dtype).detach()


def _of_components(mixture: Any) -> Bounds:
    """Those that all components of a mixture have."""
    components = mixture.component_distribution
    axis = len(mixture.batch_shape)
    shape = components.batch_shape + components.event_shape
    low, high = (bound.expand(shape).movedim(axis, 0) for bound in bounds(components))
    if bool((low != low[0]).any() | (high != high[0]).any()):
        # Between them there may be nothing.
        raise UsageError("a prior that is a mixture expects components of the same bounds, got several")
    return low[0], high[0]


def _transformed(distribution: Any) -> Bounds:
    """Those of the base, transformed as what is drawn."""
    ends = bounds(distribution.base_dist)
    for transform in distribution.transforms:
        while isinstance(transform, IndependentTransform):
            transform = transform.base_transform
        domain, codomain = _limits(transform.domain), _limits(transform.codomain)
        if domain is not None and codomain is not None and transform.bijective:
            ends = _through(transform, ends, domain, codomain)
        elif all(bool(torch.isinf(end).all()) for end in ends):
            return _told(distribution)
        else:
            raise UsageError(
                f"a prior expects parameters each with bounds of its own or none, got bounded ones that are "
                f"transformed together, by {type(transform).__name__}"
            )
    return ends


def _through(transform: Any, ends: Bounds, domain: Bounds, codomain: Bounds) -> Bounds:
    """What a monotone function makes of bounds; of its domain's ends, where numbers fail it, those of its range."""
    rising = torch.as_tensor(transform.sign) > 0
    first, last = torch.where(rising, codomain[0], codomain[1]), torch.where(rising, codomain[1], codomain[0])
    one = torch.where(ends[0] == domain[0], first, transform(ends[0]))
    other = torch.where(ends[1] == domain[1], last, transform(ends[1]))
    return torch.minimum(one, other), torch.maximum(one, other)
