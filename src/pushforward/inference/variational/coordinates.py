r"""Constrained parameters in coordinates of the reals: ``theta = c(u)`` and ``log |det dtheta/du|``.

Positive numbers pass an exponential, simplexes the breaking of a stick, ordered vectors the exponentials of their
steps: the bijections of ``torch.distributions`` (Kucukelbir et al. 2017, arXiv:1603.00788). Intervals pass the normal's
distribution function, so that what is uniform is a normal, as the base of a flow is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.transforms import IndependentTransform, Transform

from pushforward.errors import UsageError
from pushforward.inference.interval import ToInterval
from pushforward.numerics import batch_shape
from pushforward.spaces import Product, Space

Declared = Space | constraints.Constraint | tuple[constraints.Constraint, int | Sequence[int]]
"""How a parameter is declared: a space; a constraint, of one number; or a constraint with the parameter's shape."""


class Coordinates(ABC):
    """A map from vectors of the reals to parameters, with its log-determinant, and the way back.

    Attributes:
        features: how many real numbers there are.
    """

    features: int

    @abstractmethod
    def constrain(self, u: Tensor) -> tuple[Any, Tensor]:
        """Return the parameters at ``u (..., features)`` and ``log |det dtheta/du|``, of shape ``(...)``."""

    @abstractmethod
    def unconstrain(self, parameters: Any) -> Tensor:
        """Return the real numbers ``(..., features)`` of parameters."""

    @abstractmethod
    def contains(self, parameters: Any) -> Tensor:
        """Return which parameters lie in their sets, of their batch's shape."""


class Constrained(Coordinates):
    """One parameter on a set that a bijection leads to from the reals.

    Args:
        constraint: the set.
        shape: of the parameter.

    Raises:
        UsageError: if there is no bijection from the reals, or the shape has fewer dimensions than the constraint.

    Example:
        >>> positive = Constrained(constraints.positive, (2,))
        >>> positive.constrain(torch.zeros(3, 2))[1]
        tensor([0., 0., 0.])
    """

    def __init__(self, constraint: constraints.Constraint, shape: Sequence[int]) -> None:
        self.shape = torch.Size(shape)
        further = len(self.shape) - constraint.event_dim
        if further < 0:
            raise UsageError(
                f"a parameter on {constraint} expects its shape, as in (constraint, (3,)), got shape {tuple(shape)}"
            )
        whole = constraints.independent(constraint, further) if further else constraint
        self.set = whole
        try:
            self.transform = _bijection_to(whole)
        except NotImplementedError:
            raise UsageError(
                f"a parameter expects a set that a bijection leads to from the reals, such as positive numbers, an "
                f"interval, a simplex or ordered vectors, got {constraint}"
            ) from None
        self.free_shape = torch.Size(self.transform.inverse_shape(self.shape))
        self.features = self.free_shape.numel()

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        free = u.reshape((*u.shape[:-1], *self.free_shape))
        value = self.transform(free)
        return value, self.transform.log_abs_det_jacobian(free, value)

    def unconstrain(self, parameters: Any) -> Tensor:
        value = torch.as_tensor(parameters)
        return self.transform.inv(value).reshape(*batch_shape(value, len(self.shape)), self.features)

    def contains(self, parameters: Any) -> Tensor:
        return self.set.check(torch.as_tensor(parameters))


class Named(Coordinates):
    """Several parameters by their names, one after the other in the vector of real numbers.

    Args:
        parts: the coordinates of each.

    Example:
        >>> both = Named({"mean": Constrained(constraints.real, ()), "scale": Constrained(constraints.positive, ())})
        >>> both.constrain(torch.zeros(2))[0]
        {'mean': tensor(0.), 'scale': tensor(1.)}
    """

    def __init__(self, parts: Mapping[str, Coordinates]) -> None:
        self.parts = dict(parts)
        self.features = sum(part.features for part in self.parts.values())

    def constrain(self, u: Tensor) -> tuple[dict[str, Any], Tensor]:
        pieces = u.split([part.features for part in self.parts.values()], -1)
        pairs = [part.constrain(piece) for part, piece in zip(self.parts.values(), pieces, strict=True)]
        log_dets = torch.stack([log_det for _, log_det in pairs])
        return dict(zip(self.parts, (value for value, _ in pairs), strict=True)), log_dets.sum(0)

    def unconstrain(self, parameters: Any) -> Tensor:
        if not isinstance(parameters, Mapping) or parameters.keys() != self.parts.keys():
            got = ", ".join(map(str, parameters)) if isinstance(parameters, Mapping) else type(parameters).__name__
            raise UsageError(f"expected a mapping of the parameters {', '.join(self.parts)}, got {got}")
        return torch.cat([part.unconstrain(parameters[name]) for name, part in self.parts.items()], -1)

    def contains(self, parameters: Any) -> Tensor:
        return torch.stack([part.contains(parameters[name]) for name, part in self.parts.items()]).all(0)


class Joined(Coordinates):
    """One vector of parameters whose elements are of several kinds.

    Args:
        parts: the coordinates of one stretch of the vector after the other.
    """

    def __init__(self, parts: Sequence[Constrained]) -> None:
        self.parts = list(parts)
        self.features = sum(part.features for part in self.parts)

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        pieces = u.split([part.features for part in self.parts], -1)
        pairs = [part.constrain(piece) for part, piece in zip(self.parts, pieces, strict=True)]
        return torch.cat([value for value, _ in pairs], -1), torch.stack([log_det for _, log_det in pairs]).sum(0)

    def unconstrain(self, parameters: Any) -> Tensor:
        return torch.cat([part.unconstrain(piece) for part, piece in self._pieces(parameters)], -1)

    def contains(self, parameters: Any) -> Tensor:
        return torch.stack([part.contains(piece) for part, piece in self._pieces(parameters)]).all(0)

    def _pieces(self, parameters: Any) -> list[tuple[Constrained, Tensor]]:
        pieces = torch.as_tensor(parameters).split([part.shape[0] for part in self.parts], -1)
        return list(zip(self.parts, pieces, strict=True))


class Own(Coordinates):
    """The events of a flow as they are.

    Args:
        space: of the events.
    """

    def __init__(self, space: Space) -> None:
        self.space, self.shape, self.features = space, space.shape, space.dimensions

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        return u, u.new_zeros(batch_shape(u, len(self.shape)))

    def unconstrain(self, parameters: Any) -> Tensor:
        return torch.as_tensor(parameters)

    def contains(self, parameters: Any) -> Tensor:
        return self.space.contains(torch.as_tensor(parameters))


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
        return Constrained(constraint, (shape,) if isinstance(shape, int) else shape)
    raise UsageError(
        f"{what} expects a space of pushforward.spaces, a constraint of torch.distributions, or a pair of a constraint "
        f"and a shape, got {declared!r}"
    )


def _bijection_to(constraint: constraints.Constraint) -> Transform:
    if isinstance(constraint, constraints.independent):
        base = _bijection_to(constraint.base_constraint)
        return IndependentTransform(base, constraint.reinterpreted_batch_ndims)
    if isinstance(constraint, (constraints.interval, constraints.half_open_interval)):
        return ToInterval(constraint.lower_bound, constraint.upper_bound)
    return biject_to(constraint)


def _shape_of_bounds(constraint: constraints.Constraint) -> torch.Size:
    """The shape of a constraint's bounds, where they are tensors."""
    bounds = [getattr(constraint, name, 0.0) for name in ("lower_bound", "upper_bound")]
    return torch.broadcast_shapes(*(torch.as_tensor(bound).shape for bound in bounds))
