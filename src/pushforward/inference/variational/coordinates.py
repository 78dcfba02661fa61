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

from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.inference.interval import ToInterval
from pushforward.numerics import batch_shape
from pushforward.spaces import Space
from pushforward.spaces.base import as_shape, fits_shape


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
        UsageError: if there is no bijection from the reals, the shape is none or has fewer dimensions than the
            constraint, or the bounds are not finite, in order and of the shape.

    Example:
        >>> positive = Constrained(constraints.positive, (2,))
        >>> positive.constrain(torch.zeros(3, 2))[1]
        tensor([0., 0., 0.])
    """

    def __init__(self, constraint: constraints.Constraint, shape: int | Sequence[int]) -> None:
        self.shape = _checked_shape(shape)
        try:
            self.set = _of_shape(constraint, self.shape)
            self.transform = _bijection_to(self.set)
        except NotImplementedError:
            raise UsageError(
                f"a parameter expects a set that a bijection leads to from the reals, such as positive numbers, an "
                f"interval, a simplex or ordered vectors, got {constraint}"
            ) from None
        try:
            self.free_shape = torch.Size(self.transform.inverse_shape(self.shape))
            self.features = self.free_shape.numel()
            fits = self._works_on_batches()
        except (AssertionError, RuntimeError, ValueError):
            fits = False
        if not fits:
            raise UsageError(
                f"a parameter of shape {tuple(self.shape)} expects a set of that shape whose bounds are finite numbers "
                f"in order, got {constraint}: several parameters of different kinds are a mapping of names"
            )

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        free = u.reshape((*u.shape[:-1], *self.free_shape))
        value = self.transform(free)
        if not u.numel():
            # torch cannot sum over the elements of no parameters.
            return value, u.new_zeros(u.shape[:-1])
        return value, self.transform.log_abs_det_jacobian(free, value)

    def unconstrain(self, parameters: Any) -> Tensor:
        value = _events(parameters, self.shape)
        return self.transform.inv(value).reshape(*batch_shape(value, len(self.shape)), self.features)

    def contains(self, parameters: Any) -> Tensor:
        return self.set.check(_events(parameters, self.shape))

    def _works_on_batches(self) -> bool:
        """Whether a few vectors become finite parameters of the shape, and their log-determinants numbers."""
        value, log_det = self.constrain(torch.zeros(7, self.features))
        whole = value.shape == (7, *self.shape) and log_det.shape == (7,)
        return whole and bool(value.isfinite().all() and log_det.isfinite().all())


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
        pieces = [part.unconstrain(parameters[name]) for name, part in self.parts.items()]
        batch = _common_batch([piece.shape[:-1] for piece in pieces])
        return torch.cat([piece.expand(*batch, piece.shape[-1]) for piece in pieces], -1)

    def contains(self, parameters: Any) -> Tensor:
        each = [part.contains(parameters[name]) for name, part in self.parts.items()]
        batch = _common_batch([inside.shape for inside in each])
        return torch.stack([inside.expand(batch) for inside in each]).all(0)


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
        sizes = [part.shape[0] for part in self.parts]
        value = _events(parameters, torch.Size([sum(sizes)]))
        return list(zip(self.parts, value.split(sizes, -1), strict=True))


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
        return _events(parameters, self.shape)

    def contains(self, parameters: Any) -> Tensor:
        return self.space.contains(_events(parameters, self.shape))


def _bijection_to(constraint: constraints.Constraint) -> Transform:
    if isinstance(constraint, constraints.independent):
        base = _bijection_to(constraint.base_constraint)
        return IndependentTransform(base, constraint.reinterpreted_batch_ndims)
    if isinstance(constraint, (constraints.interval, constraints.half_open_interval)):
        return ToInterval(constraint.lower_bound, constraint.upper_bound)
    return biject_to(constraint)


def _checked_shape(shape: int | Sequence[int]) -> torch.Size:
    checked = as_shape(shape)
    if any(size < 1 for size in checked):
        raise UsageError(f"a parameter expects a shape of sizes of at least 1, got {tuple(checked)}")
    return checked


def _of_shape(constraint: constraints.Constraint, shape: torch.Size) -> constraints.Constraint:
    """The constraint of a whole parameter."""
    further = len(shape) - constraint.event_dim
    if further < 0:
        raise UsageError(
            f"a parameter on {constraint} expects its shape, as in (constraint, (3,)), got shape {tuple(shape)}"
        )
    return constraints.independent(constraint, further) if further else constraint


def _as_numbers(parameters: Any) -> Tensor:
    """Parameters as a tensor of floating-point numbers."""
    try:
        value = torch.as_tensor(parameters)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"expected parameters that are numbers, got {type(parameters).__name__}") from None
    return value if value.is_floating_point() else value.to(torch.get_default_dtype())


def _events(parameters: Any, shape: torch.Size) -> Tensor:
    """Parameters as numbers, of this shape behind any batch dimensions."""
    value = _as_numbers(parameters)
    if value.dim() < len(shape) or not fits_shape(value.shape[value.dim() - len(shape) :], shape):
        raise ShapeError(
            f"expected parameters of shape {tuple(shape)} behind any batch dimensions, got a tensor of shape "
            f"{tuple(value.shape)}"
        )
    return value


def _common_batch(shapes: Sequence[torch.Size]) -> torch.Size:
    try:
        return torch.broadcast_shapes(*shapes)
    except RuntimeError:
        told = ", ".join(str(tuple(shape)) for shape in shapes)
        raise ShapeError(f"expected parameters whose batch dimensions broadcast, got {told}") from None
