"""What a velocity field is, and its divergence."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import for_network
from pushforward.networks.velocity.derivatives import unit_events, with_divergence
from pushforward.parts import ModulePart
from pushforward.spaces import Space


class Velocity(ModulePart):
    r"""A velocity field, called as ``velocity(time, x, context)``.

    ``time`` has the batch's shape, one time for each event, ``x`` is ``batch_shape + event_shape`` and so is what comes
    back. To write one, derive from this class and write :meth:`forward`; any other module that is called like this does
    too. It should be smooth, since solvers take short steps at kinks, and treat the events of a batch apart.

    Where the divergence is known in closed form, write :meth:`with_divergence` too: a class that writes :meth:`forward`
    alone does not inherit one, which would be that of another field. The closed form does not go through ``forward``,
    so that hooks on the velocity do not act on what :class:`ExactTrace` computes.

    Raises:
        nothing of its own: what the subclass raises.

    Source: Chen, Rubanova, Bettencourt, Duvenaud (2018), Neural Ordinary Differential Equations, arXiv:1806.07366.

    Example:
        >>> import torch, pushforward as pf
        >>> velocity = pf.networks.VelocityMLP(2)
        >>> velocity(torch.rand(5), torch.randn(5, 2)).shape
        torch.Size([5, 2])
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls) and "with_divergence" not in vars(cls):
            cls.with_divergence = Velocity.with_divergence  # type: ignore[method-assign]

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return ``v(t, x | context)``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: a Velocity is abstract")

    def with_divergence(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``v(t, x | context)`` and its divergence, ``sum_i dv_i / dx_i``, of the batch's shape."""
        return divergence_by_units(self, time, x, context)


def divergence_by_units(velocity: nn.Module, time: Tensor, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return any velocity at ``x`` with its divergence, at the price of the velocity at ``D`` times as many events."""
    return divergence_along(velocity, time, x, context, unit_events(x, x.dim() - time.dim()))


def divergence_along(
    velocity: nn.Module, time: Tensor, x: Tensor, context: Tensor | None, directions: Tensor
) -> tuple[Tensor, Tensor]:
    """Return any velocity at ``x`` with its divergence along orthonormal directions ``(K, *x.shape)``, at the price of
    the velocity at ``K`` times as many events."""

    def field(points: Tensor) -> Tensor:
        many = points.shape[:1]
        given = None if context is None else context.expand(*many, *context.shape)
        return velocity(time.expand(*many, *time.shape), points, given)  # type: ignore[no-any-return]

    return with_divergence(field, x, directions, x.dim() - time.dim())


class VelocityFactory(Protocol):
    """A callable that makes a velocity: ``velocity(size, context)``, for instance ``partial(VelocityMLP, hidden=32)``;
    ``size`` is the number of features of vectors or of channels of images.

    Shapes: the velocity takes times ``(...)`` and events ``(..., D)`` or ``(..., C, H, W)`` and gives what is of the
    events' shape.

    Source: Chen, Rubanova, Bettencourt, Duvenaud (2018), Neural Ordinary Differential Equations, arXiv:1806.07366.

    Example:
        >>> from functools import partial
        >>> import torch, pushforward as pf
        >>> factory: VelocityFactory = partial(pf.networks.VelocityMLP, hidden=8)
        >>> factory(3, 0)(torch.rand(()), torch.randn(3)).shape
        torch.Size([3])
    """

    def __call__(self, size: int, context: Any, /) -> nn.Module: ...


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
