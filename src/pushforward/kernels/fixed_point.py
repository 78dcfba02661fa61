"""Fixed points of contractions: iterations that end on the error of each row, and leave out the rows that are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import ConvergenceError
from pushforward.kernels.anderson import mixed
from pushforward.kernels.iteration import State, count_true, iterate
from pushforward.kernels.recording import is_traced

Step = Callable[..., Tensor]
"""A map of rows whose fixed points are looked for: ``step(x, *given)``, each row by itself."""

ROUNDING = 4.0
"""Residuals of so many units in the last place are rounding: the iteration cannot get nearer."""

STALLED = 10
MOST_ROUNDING = 100.0
"""A row whose residual has not fallen for ``STALLED`` steps is done where it is at most ``MOST_ROUNDING`` units:
networks of large terms that cancel round worse than their values tell."""


@dataclass(frozen=True)
class Iteration:
    """How a fixed point is looked for, and when a row is done.

    Attributes:
        factor: the error of ``step(x)`` in units of ``|step(x) - x|``, in the Euclidean norm: of a contraction of
            Lipschitz constant ``L`` it is ``L / (1 - L)`` (Banach's a-posteriori bound).
        tolerance: the error at which a row is done: absolute, and relative where the root mean square of its elements
            is above 1.
        limit: the most evaluations of a step.
        memory: how many past steps Anderson acceleration combines, 0 for the plain iteration. A combination whose
            residual is no smaller than the one before is given up for the plain step, so that it converges where the
            plain iteration does.
    """

    factor: float
    tolerance: float
    limit: int
    memory: int = 0


@torch.no_grad()
def fixed_point(step: Step, start: Tensor, iteration: Iteration) -> Tensor:
    r"""The fixed points of a map, by ``x <- step(x)``, from a start of rows ``(rows, ...)``.

    Rows must not see each other. One is done when its error is below the tolerance, or its residual ``step(x) - x`` is
    rounding. Damping and preconditioning are the business of ``step``: ``x - a (F(x) - z) / d`` has the roots of
    ``F(x) = z`` as its fixed points.

    Raises:
        ConvergenceError: a row has not arrived. In compiled code, which cannot raise, it is NaN.

    Example:
        >>> roots = fixed_point(torch.cos, torch.zeros(2, 1), Iteration(factor=5.0, tolerance=1e-6, limit=100))
        >>> bool(torch.allclose(roots.cos(), roots, atol=1e-5))
        True
    """
    search = _Search(_flat(step, start.shape[1:]), iteration)

    def advance(remaining: Tensor, *state: Tensor) -> State:
        following, going = search.advance(state), _going(*state)
        return tuple(torch.where(_like(going, a), a, b) for a, b in zip(following, state, strict=True))

    state = iterate(advance, _going, search.start(start.flatten(1)), iteration.limit)
    return _arrived(state[_BEST], _going(*state) | state[_LEAST].isnan()).reshape(start.shape)


@torch.no_grad()
def fixed_point_of_rows(step: Step, start: Tensor, given: Sequence[Tensor], iteration: Iteration) -> Tensor:
    """What :func:`fixed_point` computes for ``step(x, *given)``, without evaluating rows that are done; ``given`` has a
    row for each row of the start. In compiled code and within ``torch.func``, where rows cannot be chosen, it is
    :func:`fixed_point` itself.

    Example:
        >>> z = torch.tensor([[0.5], [2.0]])
        >>> iteration = Iteration(factor=1.0, tolerance=1e-6, limit=100, memory=2)
        >>> x = fixed_point_of_rows(lambda x, z: z - 0.5 * x.tanh(), z, (z,), iteration)
        >>> bool(torch.allclose(x + 0.5 * x.tanh(), z, atol=1e-5))
        True
    """
    if is_traced():
        return fixed_point(lambda x: step(x, *given), start, iteration)
    found = start.flatten(1).clone(memory_format=torch.contiguous_format)
    lost = torch.ones(len(found), dtype=torch.bool, device=found.device)
    left = torch.arange(len(found), device=found.device)
    state = _Search(step, iteration).start(found)
    for _ in range(iteration.limit):
        if not len(left):
            break
        state = _Search(_flat(step, start.shape[1:], given), iteration).advance(state)
        goes_on = _going(*state)
        if bool(goes_on.all()):
            continue
        done = left[~goes_on]
        found[done], lost[done] = state[_BEST][~goes_on], state[_LEAST][~goes_on].isnan()
        left, given = left[goes_on], [each[goes_on] for each in given]
        state = tuple(each[goes_on] for each in state)
    return _arrived(found, lost).reshape(start.shape)


_BEST, _LEAST, _GOING = 1, 2, 4
"""Places in the state of a search."""


class _Search:
    """One step of the iteration for rows ``(rows, n)``.

    Its state: the point to evaluate next; the image whose residual was least, and that residual's length, NaN where
    numbers were not finite; how often in turn it was not less; who goes on; the length of the numbers that the map adds
    up; and with a memory, the residual of the best image and the last changes of image and residual.
    """

    def __init__(self, step: Step, iteration: Iteration) -> None:
        self.step, self.rule = step, iteration

    def start(self, x: Tensor) -> State:
        size = x.new_full(x.shape[:1], torch.inf)
        stalled = torch.zeros(x.shape[:1], dtype=torch.int64, device=x.device)
        length = torch.linalg.vector_norm(x, dim=-1)
        state = x, x, size, stalled, torch.ones_like(stalled, dtype=torch.bool), length
        if not self.rule.memory:
            return state
        return (*state, *[torch.zeros_like(x)] * (1 + 2 * self.rule.memory))

    def advance(self, state: State) -> State:
        x, best, least, stalled, _, length, *past = state
        image = self.step(x)
        residual = image - x
        size = torch.linalg.vector_norm(residual, dim=-1)
        fell = size < least
        following = image
        if self.rule.memory:
            following, past = self._accelerated(image, residual, best, fell, torch.isfinite(least), past)
        best = torch.where(fell[:, None], image, best)
        stalled = torch.where(fell, 0, stalled + 1)
        finite = torch.isfinite(size)
        least = torch.where(finite, torch.where(fell, size, least), torch.nan)
        going = finite & ~self._done(best, least, stalled, length)
        return following, best, least, stalled, going, length, *past

    def _accelerated(
        self, image: Tensor, residual: Tensor, best: Tensor, fell: Tensor, begun: Tensor, past: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The next point and memory: where the residual fell, the combination; else the plain step from the best
        point, and nothing learnt."""
        before, *changes = past
        moves, turns = changes[: self.rule.memory], changes[self.rule.memory :]
        learnt = (fell & begun)[:, None].to(image.dtype)
        moves = [*moves[1:], (image - best) * learnt]
        turns = [*turns[1:], (residual - before) * learnt]
        following = torch.where(fell[:, None], mixed(image, residual, moves, turns), best)
        return following, [torch.where(fell[:, None], residual, before), *moves, *turns]

    def _done(self, best: Tensor, least: Tensor, stalled: Tensor, length: Tensor) -> Tensor:
        unit_length = max(best.shape[1], 1) ** 0.5
        found = torch.linalg.vector_norm(best, dim=-1)
        near = self.rule.factor * least <= self.rule.tolerance * torch.clamp(found / unit_length, min=1.0)
        unit = torch.finfo(best.dtype).eps * (torch.maximum(found, length) + unit_length)
        return near | (least <= ROUNDING * unit) | ((stalled >= STALLED) & (least <= MOST_ROUNDING * unit))


def _going(*state: Tensor) -> Tensor:
    return state[_GOING]


def _like(going: Tensor, value: Tensor) -> Tensor:
    return going.reshape(-1, *[1] * (value.dim() - 1))


def _flat(step: Step, shape: torch.Size, given: Sequence[Tensor] = ()) -> Step:
    """The same map of rows without an event's shape."""
    return lambda x: step(x.reshape(len(x), *shape), *given).reshape(x.shape)


def _arrived(x: Tensor, lost: Tensor) -> Tensor:
    failures = count_true(lost)
    if failures:
        raise ConvergenceError(
            f"A fixed-point iteration expected to arrive at every row, and {failures} of {len(x)} did not: look for "
            f"NaN or infinite numbers in the inputs and the parameters, and for a map that is no contraction"
        )
    return torch.where(lost[:, None], torch.nan, x)
