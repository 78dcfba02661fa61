"""Flow matching: a velocity field is fitted to the velocities of paths from latents to data."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.numerics import batch_shape
from pushforward.training.objectives.flow_matching.field import FieldOfFlow, as_rows
from pushforward.training.objectives.flow_matching.pairing import Independent, Pairing
from pushforward.training.objectives.flow_matching.paths import ProbabilityPath, WrappedLine, shortest_path
from pushforward.training.objectives.flow_matching.times import Times, UniformTimes


@dataclass(frozen=True)
class FlowMatching:
    r"""The mean of ``|v(t, x_t) - dx_t/dt|^2`` over times ``t``, data ``x`` and latents ``z``, on paths ``x_t`` from
    ``z`` to ``x``: straight ones, on circles the short way round, or great circles on a sphere (Riemannian flow
    matching).

    The field that minimises it carries the base to the data; it is found without solving its equation once. What stands
    before it in the flow (a standardisation, a dequantization, a logit) is applied to the data first, without its
    log-determinant, and gets no gradients, nor does the base: nothing there is trained. The embedding of a context is.

    The loss is in squared units of the field's events, summed over the dimensions: no likelihood, and never zero. The
    trained flow has its likelihood all the same, by solving the equation: ``flow.log_prob``.

    Attributes:
        path: from a latent to an event; None is the shortest one of the field's space.
        pairing: of the latents and the events of a batch.
        times: at which the field is compared.

    Raises:
        UsageError: if the last transform of the flow is not continuous, the path leads through another space than the
            field's, or the pairing is none for its context.

    Source: Lipman et al. (2023), arXiv:2210.02747; Liu, Gong, Liu (2023), arXiv:2209.03003; Albergo, Vanden-Eijnden
    (2023), arXiv:2209.15571.

    Example:
        >>> import torch
        >>> import pushforward as pf
        >>> flow = pf.models.cnf(features=2, hidden=16)
        >>> pf.fit(flow, torch.randn(512, 2), objective=FlowMatching(), max_steps=5, progress=False).steps
        5
    """

    path: ProbabilityPath | None = None
    pairing: Pairing = field(default_factory=Independent)
    times: Times = field(default_factory=UniformTimes)

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        self._path_in(FieldOfFlow.of(flow, "flow matching"))

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.losses(flow, x, context).mean()

    def losses(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the loss of each event of ``x``, of the batch's shape."""
        parts = FieldOfFlow.of(flow, "flow matching")
        x, given = flow.check(x, context)
        batch = batch_shape(x, len(flow.event_shape))
        x, given = x.reshape(-1, *flow.event_shape), as_rows(given, batch, flow.taken_dims)
        x = parts.reached(x, given)
        z = parts.latents(len(x), given)
        shown = parts.continuous.domain.features
        z = z[self.pairing(shown(z).flatten(1), shown(x).flatten(1), _compared(flow, context, batch))]
        return squared_errors(parts, self._path_in(parts), self.times, z, x, given).reshape(batch)

    def _path_in(self, parts: FieldOfFlow) -> ProbabilityPath:
        space = parts.continuous.domain
        path = shortest_path(space) if self.path is None else self.path
        if not isinstance(space, path.space) or (isinstance(path, WrappedLine) and path.circles != space):
            raise UsageError(
                f"{path} leads through {path.space.__name__}, and the flow's field moves in {space}: take "
                f"{shortest_path(space)}, or none for the shortest path"
            )
        return path


def _compared(flow: Flow, context: Tensor | None, batch: torch.Size) -> Tensor | None:
    """The contexts by which events are paired: as they are given, since what an embedding makes of them is still being
    learned."""
    if context is None or flow.context is None:
        return None
    rows = as_rows(flow.context.features(context), batch, len(flow.context.features_shape))
    return None if rows is None else rows.flatten(1)


def squared_errors(
    parts: FieldOfFlow, path: ProbabilityPath, times: Times, z: Tensor, x: Tensor, context: Tensor | None
) -> Tensor:
    """Return ``|v(t, x_t) - dx_t/dt|^2`` at one time of the path of each pair, ``(N,)``."""
    time = times.draw(x, len(x))
    at, velocity = path(time.reshape(-1, *[1] * (x.dim() - 1)), z, x)
    error = parts.velocity(time, at, context).to(velocity.dtype) - velocity
    return error.square().flatten(1).sum(1)
