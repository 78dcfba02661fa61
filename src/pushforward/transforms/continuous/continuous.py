"""Continuous flows: data and latent are the ends of a differential equation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.accuracy import worst
from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.networks.velocity.base import VelocityFactory, make_velocity
from pushforward.networks.velocity.circles import CircleVelocity
from pushforward.networks.velocity.tangent import TangentVelocity
from pushforward.numerics import batch_shape
from pushforward.spaces import Circle, Reals, Space, Sphere, as_context
from pushforward.transforms.base import Transform
from pushforward.transforms.continuous.drift import Position, PositionAndVolume, PositionVolumeAndEnergy
from pushforward.transforms.continuous.gradients import Checkpoints, Gradients, in_full_precision
from pushforward.transforms.continuous.solver import DormandPrince, Solver, Statistics
from pushforward.transforms.continuous.tableau import Drift
from pushforward.transforms.continuous.trace import ExactTrace, Trace, signs

TO_DATA, TO_LATENT = (0.0, 1.0), (1.0, 0.0)
"""The spans of time of the two directions."""

ADDED_UP = 10.0
"""How much larger than the error of one step that of a whole solve may be."""


class Continuous(Transform):
    r"""A continuous flow, ``dx/dt = v(t, x | context)`` from the latent at ``t = 0`` to the data at ``t = 1`` (Chen et
    al. 2018, arXiv:1806.07366; with a free velocity and a stochastic trace, FFJORD, Grathwohl et al. 2019,
    arXiv:1810.01367).

    ``inverse`` follows the velocity from the latent to the data, ``forward`` back; the log-determinant is the integral
    of the velocity's divergence, and :meth:`encode` and :meth:`decode` do without. Each event has step sizes of its
    own, so that its density does not depend on the others of its batch. What the last solve took is in ``statistics``.

    Args:
        velocity: a module that is called as ``velocity(time, x, context)``, ``time`` of the batch's shape, and returns
            a vector for each event; or a factory of such, called as ``velocity(size, context)``. It is the attribute
            ``velocity``.
        shape: the number of features of vectors, the shape of images ``(channels, height, width)``, or a space:
            ``Sphere(n)`` or ``Circle((D,))``, on which only the velocity's tangent part counts
            (:class:`TangentVelocity`, :class:`CircleVelocity`, whose network sees ``2 D`` cosines and sines).
        solver: how the equation is solved: :class:`DormandPrince` to a tolerance, unless :class:`FixedSteps` or another
            is given.
        trace: how the divergence is found: :class:`ExactTrace`, or :class:`Hutchinson` for many dimensions.
        gradients: how a solve is differentiated: by :class:`Checkpoints` unless told otherwise.
        context: a number of features, a shape or a space of what the velocity is told besides; 0 for nothing.

    Under autocast a solve is made in the precision of the weights all the same.

    Raises:
        UsageError: for the shape of numbers, (), or another space than the reals, circles and spheres.
        ShapeError: if the events or the context do not have the declared shape.
        ConvergenceError: if the solver cannot go on, with the sample and the time.

    Example:
        >>> import pushforward as pf
        >>> layer = Continuous(pf.networks.ConcatSquashMLP, 2)
        >>> x = torch.randn(5, 2)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-4), layer.statistics.accepted.shape
        (True, torch.Size([5]))
    """

    capturable = False

    def __init__(
        self,
        velocity: VelocityFactory | nn.Module,
        shape: int | Sequence[int] | Space,
        solver: Solver | None = None,
        trace: Trace | None = None,
        gradients: Gradients | None = None,
        context: Context = 0,
    ) -> None:
        super().__init__()
        self.domain = self.codomain = space = _space_of(shape)
        self.context = as_context(context)
        around = make_velocity(velocity, space.features_shape[0], self.context, "Continuous")
        self.velocity = _tangent(around, space)
        self.solver, self.trace = solver or DormandPrince(), trace or ExactTrace()
        self.gradients = gradients or Checkpoints()
        self.accuracy, self.draws = worst([self.trace.accuracy, self.solver.accuracy]), self.trace.draws
        self.tolerance = ADDED_UP * self.solver.tolerance
        self.statistics: Statistics | None = None

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self._with_volume(x, context, generator, TO_LATENT)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self._with_volume(z, context, generator, TO_DATA)

    def forward_with_energy(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        r"""Return what :meth:`forward` does, and two integrals over the way that a training may keep small: the kinetic
        energy ``int |v|^2 dt`` and an estimate, right in the mean, of ``int |dv/dx|_F^2 dt``."""
        x, context = self.check(x, context, self.domain)
        batch, events, given = self._rows(x, context)
        noise = self.trace.draw(events, generator)
        noise = signs(events, generator) if noise is None else noise
        drift = PositionVolumeAndEnergy(self.velocity, self.event_shape, self.trace)
        start = torch.cat([events.flatten(1), events.new_zeros(len(events), 3)], -1)
        end = self._solve(drift, start, (given, noise), TO_LATENT, batch)
        volume, kinetic, jacobian = end[:, -3:].reshape(*batch, 3).unbind(-1)
        # Time runs backwards here, and an energy does not know.
        return self._placed(end[:, :-3], x.shape), volume, -kinetic, -jacobian

    def follow(self, x: Tensor, times: Sequence[float], context: Tensor | None = None) -> Tensor:
        """Return where events that are at ``x`` at the first of several times, rising or falling, are at each of them:
        ``(len(times),) + batch_shape + event_shape``.

        Example:
            >>> import pushforward as pf
            >>> Continuous(pf.networks.VelocityMLP, 2).follow(torch.zeros(5, 2), (0.0, 0.5, 1.0)).shape
            torch.Size([3, 5, 2])
        """
        places = [self.check(x, context, self.domain)[0]]
        for span in pairwise(times):
            places.append(self._position(places[-1], context, span))
        return torch.stack(places)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self._position(x, context, TO_LATENT)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self._position(z, context, TO_DATA)

    def _position(self, x: Tensor, context: Tensor | None, span: tuple[float, float]) -> Tensor:
        x, context = self.check(x, context, self.domain)
        batch, events, given = self._rows(x, context)
        end = self._solve(Position(self.velocity, self.event_shape), events.flatten(1), (given,), span, batch)
        return self._placed(end, x.shape)

    def _with_volume(
        self, x: Tensor, context: Tensor | None, generator: torch.Generator | None, span: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        batch, events, given = self._rows(x, context)
        noise = self.trace.draw(events, generator)
        drift = PositionAndVolume(self.velocity, self.event_shape, self.trace)
        start = torch.cat([events.flatten(1), events.new_zeros(len(events), 1)], -1)
        end = self._solve(drift, start, (given, noise), span, batch)
        return self._placed(end[:, :-1], x.shape), end[:, -1].reshape(batch)

    def _placed(self, rows: Tensor, shape: torch.Size) -> Tensor:
        """Events of rows where a solve ended, without whole turns and what its errors added across a sphere."""
        events, space = rows.reshape(shape), self.domain
        return space.wrap(events) if isinstance(space, Circle) else space.nearest(events)

    def _rows(self, x: Tensor, context: Tensor | None) -> tuple[torch.Size, Tensor, Tensor | None]:
        """The batch's shape, and events and contexts as rows."""
        batch = batch_shape(x, self.event_dims)
        events = x.reshape(batch.numel(), *self.event_shape)
        if torch.is_autocast_enabled(x.device.type) and x.dtype.itemsize < torch.float32.itemsize:
            events = events.float()
        if context is None:
            return batch, events, None
        assert self.context is not None
        shape = self.context.features_shape
        return batch, events, context.expand(*batch, *shape).reshape(batch.numel(), *shape).to(x.dtype)

    def _solve(
        self, drift: Drift, start: Tensor, rows: tuple[Tensor | None, ...], span: tuple[float, float], batch: torch.Size
    ) -> Tensor:
        if torch.is_inference_mode_enabled():
            # Divergences are derivatives, which inference mode knows nothing of.
            with torch.inference_mode(False), torch.no_grad():
                rows = tuple(None if each is None else each.clone() for each in rows)
                return self._solve(drift, start.clone(), rows, span, batch)
        with in_full_precision(start):
            end, statistics = self.gradients.solve(self.solver, drift, self.velocity, start, rows, span)
        self.statistics = statistics.reshape(batch)
        return end


def _space_of(shape: int | Sequence[int] | Space) -> Space:
    """The space of a flow's events.

    Raises:
        UsageError: if no velocity moves about in it.
    """
    space = shape if isinstance(shape, Space) else Reals((shape,) if isinstance(shape, int) else tuple(shape))
    moves = (isinstance(space, Circle) and len(space.shape) == 1) or (isinstance(space, Reals | Sphere) and space.shape)
    if not moves:
        raise UsageError(
            f"Continuous expects events of at least one dimension, real ones or those of a Sphere or of vectors of "
            f"Circles, got shape={shape}"
        )
    return space


def _tangent(velocity: nn.Module, space: Space) -> nn.Module:
    """The part of a velocity that does not leave the space."""
    if isinstance(space, Circle):
        return CircleVelocity(velocity, space)
    return TangentVelocity(velocity) if isinstance(space, Sphere) else velocity
