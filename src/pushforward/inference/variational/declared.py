"""How parameters are declared, and the coordinates that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.distributions import constraints

from pushforward.errors import UsageError
from pushforward.inference.variational.coordinates import Constrained, Coordinates, Joined, Named
from pushforward.spaces import Product, Space

Declared = Space | constraints.Constraint | tuple[constraints.Constraint, int | Sequence[int]]
"""How a parameter is declared: a space; a constraint, of one number; or a constraint with the parameter's shape."""


def coordinates_of(parameters: Mapping[str, Declared] | Declared) -> Coordinates:
    """Return the coordinates of parameters as they are declared, by name or as one.

    Raises:
        UsageError: if there are none, or one is not declared by a space or a constraint.

    Example:
        >>> coordinates_of({"mean": constraints.real, "weights": (constraints.simplex, (3,))}).features
        3
    """
    if not isinstance(parameters, Mapping):
        return _declared("parameters", parameters)
    if not parameters:
        raise UsageError("parameters expects one parameter at least, got none")
    return Named({name: _declared(f"the parameter {name!r}", declared) for name, declared in parameters.items()})


def _declared(what: str, declared: Any) -> Coordinates:
    if isinstance(declared, Product):
        return Joined([Constrained(space.constraint, space.shape) for space in declared.spaces])
    if isinstance(declared, Space):
        return Constrained(declared.constraint, declared.shape)
    if isinstance(declared, constraints.Constraint):
        return Constrained(declared, _shape_of_bounds(declared))
    if isinstance(declared, tuple) and len(declared) == 2 and isinstance(declared[0], constraints.Constraint):
        constraint, shape = declared
        return Constrained(constraint, shape)
    raise UsageError(
        f"{what} expects a space of pushforward.spaces, a constraint of torch.distributions, or a pair of a constraint "
        f"and a shape, got {declared!r}"
    )


def _shape_of_bounds(constraint: constraints.Constraint) -> torch.Size:
    """The shape of a constraint's bounds, where they are tensors."""
    bounds = [getattr(constraint, name, 0.0) for name in ("lower_bound", "upper_bound")]
    return torch.broadcast_shapes(*(torch.as_tensor(bound).shape for bound in bounds))
