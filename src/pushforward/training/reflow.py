"""Rectified flow: a continuous flow is trained anew on straight paths between its own latents and samples."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.flows.chunks import in_chunks
from pushforward.flows.expected import require_flow
from pushforward.flows.flow import Flow
from pushforward.kernels.modes import evaluating
from pushforward.parts import arguments_of, make
from pushforward.training.fit import fit
from pushforward.training.objectives.flow_matching.field import FieldOfFlow, contexts_for
from pushforward.training.objectives.flow_matching.objective import squared_errors
from pushforward.training.objectives.flow_matching.paths import shortest_path
from pushforward.training.objectives.flow_matching.times import UniformTimes
from pushforward.transforms import Continuous, FixedSteps
from pushforward.transforms.continuous.solver import Solver

DEFAULT_STEPS = 2000


def reflow(
    flow: Flow,
    context: Any = None,
    *,
    solver: Solver | None = None,
    pairs: int = 20_000,
    seed: int = 0,
    **training: Any,
) -> Flow:
    r"""Return a flow whose trajectories are nearly straight, so that a few steps are enough to draw from it.

    Latents ``z`` are drawn and carried to ``x`` by the flow; the student's field, which begins as the flow's, is
    trained by ``|v(t, (1 - t) z + t x) - (x - z)|^2`` on these pairs. Where the paths of pairs do not cross, the field
    that minimises it moves on straight lines, and one step of Euler's rule follows them; on spheres it is great circles
    in their place, of which a few steps are needed. Each time that it is done the
    trajectories are straighter, see :func:`pushforward.diagnostics.straightness`.

    The student draws from nearly the same distribution as the flow, and its ``log_prob`` is an estimate, as a few steps
    solve nothing to a tolerance: :func:`solved_by` gives it another solver where densities are asked for.

    Args:
        flow: a trained flow whose last transform is `Continuous`; it is not changed.
        context: contexts ``(N, ...)`` to draw pairs for, of a conditional flow.
        solver: of the student, by default four steps of Euler's rule.
        pairs: how many latents are carried to the data.
        seed: of the latents and of the training.
        training: options of `fit`, but for the data and the objective; by default 2000 steps.

    Raises:
        UsageError: if the last transform of the flow is not continuous.
        ShapeError: if contexts are missing, superfluous or misshapen.

    Source: Liu, Gong, Liu (2023), arXiv:2209.03003.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.cnf(features=2, hidden=[8])
        >>> student = reflow(flow, pairs=100, max_steps=2, progress=False)
        >>> student.sample(5).shape, student.transform[-1].statistics.evaluations.tolist()
        (torch.Size([5, 2]), [4, 4, 4, 4, 4])
    """
    require_flow("reflow", flow)
    teacher, given = FieldOfFlow.of(flow, "reflow"), contexts_for(flow, context, pairs)
    with torch.random.fork_rng(), evaluating(flow):
        torch.manual_seed(seed)
        z, x = _carried(teacher, pairs, given)
    student = solved_by(flow, solver or FixedSteps())
    field = FieldOfFlow.of(student, "reflow").continuous
    limited = {"max_steps", "max_time", "max_epochs"} & training.keys()
    options: dict[str, Any] = training if limited else {"max_steps": DEFAULT_STEPS, **training}
    paired = PairedFlow(field, student.base)
    fit(paired, (x, _joined(z, given)), objective=pair_matching, seed=seed, **options)
    return student.eval()


def solved_by(flow: Flow, solver: Solver) -> Flow:
    """Return a copy of a flow whose last transform, a continuous one, is solved by another solver.

    Raises:
        UsageError: if the last transform of the flow is not continuous.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.cnf(features=2, hidden=[8])
        >>> solved_by(flow, pf.transforms.FixedSteps(2)).accuracy.describe()
        'estimate'
    """
    own = copy.deepcopy(flow)
    parts = FieldOfFlow.of(own, "solved_by")
    field: Continuous = make(type(parts.continuous), arguments_of(parts.continuous) | {"solver": solver})
    field.load_state_dict(parts.continuous.state_dict())
    field.to(next(parts.continuous.parameters(), torch.zeros(())))
    field.train(parts.continuous.training)
    solved = Flow([*parts.before, field], own.base, context=own.context or 0, embedding=own.embedding)
    solved.training = own.training
    return solved


class PairedFlow(Flow):
    """A flow of a field alone, whose training contexts are each event's latent with its context behind, as one row."""

    def __init__(self, field: Continuous, base: Distribution) -> None:
        super().__init__(field, base)

    @property
    def context_shape(self) -> torch.Size:
        """The shape of a latent with the context behind it."""
        given = 0 if self.context is None else self.context.shape.numel()
        return torch.Size([self.event_shape.numel() + given])

    def apart(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the latents and the contexts of rows."""
        size = self.event_shape.numel()
        z = rows[:, :size].unflatten(1, self.event_shape)
        return z, None if self.context is None else rows[:, size:].reshape(-1, *self.context.shape)

    def initialise(self, x: Any, context: Any = None) -> None:
        """Nothing starts from data here: the flow is trained already."""

    def finish(self, x: Any, context: Any = None, generator: torch.Generator | None = None) -> None:
        """Nor is anything fitted at the end: the base is what the field was trained from."""


def pair_matching(flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
    """The mean of ``|v(t, x_t) - dx_t/dt|^2`` on the shortest paths between pairs, of a :class:`PairedFlow`."""
    assert isinstance(flow, PairedFlow) and context is not None
    z, given = flow.apart(context)
    parts = FieldOfFlow.of(flow, "reflow")
    return squared_errors(parts, shortest_path(parts.continuous.domain), UniformTimes(), z, x, given).mean()


@torch.no_grad()
def _carried(teacher: FieldOfFlow, count: int, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """Latents, and where the field carries them."""
    field, z = teacher.continuous, teacher.latents(count, context)
    given = None if field.context is None else context
    dims = 0 if field.context is None else len(field.context.shape)
    return z, in_chunks(field.decode, z, field.event_dims, given, dims)


def _joined(z: Tensor, context: Tensor | None) -> Tensor:
    rows = z.flatten(1)
    return rows if context is None else torch.cat([rows, context.to(z.dtype).flatten(1)], 1)
