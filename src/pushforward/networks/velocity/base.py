"""What a velocity field is, and its divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import jvp, vmap

from pushforward.errors import UsageError
from pushforward.networks.context import for_network
from pushforward.parts import ModulePart
from pushforward.spaces import Space


class Velocity(ModulePart):
    r"""A velocity field, called as ``velocity(time, x, context)``.

    ``time`` has the batch's shape, one time for each event, ``x`` is ``batch_shape + event_shape`` and so is what comes
    back. To write one, derive from this class and write :meth:`forward`; any other module that is called like this does
    too. It should be smooth, since solvers take short steps at kinks, and treat the events of a batch apart. Where the
    divergence is known in closed form, write :meth:`with_divergence` too.
    """

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return ``v(t, x | context)``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: a Velocity is abstract")

    def with_divergence(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``v(t, x | context)`` and its divergence, ``sum_i dv_i / dx_i``, of the batch's shape."""
        return with_divergence(lambda points: self(time, points, context), x, x.dim() - time.dim())


class VelocityFactory(Protocol):
    """A callable that makes a velocity: ``velocity(size, context)``, for instance ``partial(VelocityMLP, hidden=32)``;
    ``size`` is the number of features of vectors or of channels of images."""

    def __call__(self, size: int, context: Any, /) -> nn.Module: ...


def with_divergence(field: Callable[[Tensor], Tensor], x: Tensor, event_dims: int) -> tuple[Tensor, Tensor]:
    """Return a field at ``x`` and its divergence, by one derivative in the direction of each of the dimensions, all of
    them in one call.

    Example:
        >>> with_divergence(lambda x: x**2, torch.tensor([[1.0, 3.0]]), 1)
        (tensor([[1., 9.]]), tensor([8.]))
    """
    event = x.shape[x.dim() - event_dims :]
    directions = torch.eye(event.numel(), dtype=x.dtype, device=x.device).reshape(-1, *event)

    def along(direction: Tensor) -> tuple[Tensor, Tensor]:
        value, change = jvp(field, (x,), (direction.expand_as(x),))
        return value, (change * direction).sum(tuple(range(-event_dims, 0)))

    value, diagonal = vmap(along, out_dims=(None, 0), randomness="same")(directions)
    return value, diagonal.sum(0)


def make_velocity(velocity: VelocityFactory | nn.Module, size: int, context: Space | None, owner: str) -> nn.Module:
    """Return a ready-made velocity as it is, or what a factory makes.

    Raises:
        UsageError: if it is neither.
    """
    if isinstance(velocity, nn.Module):
        return velocity
    made = velocity(size, for_network(context)) if callable(velocity) else velocity
    if not isinstance(made, nn.Module):
        raise UsageError(
            f"{owner} expects a velocity: a module that is called as velocity(time, x, context), or a factory of such, "
            f"called as velocity(size, context), for instance VelocityMLP; got {made!r}"
        )
    return made
