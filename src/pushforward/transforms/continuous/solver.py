"""Adaptive solution of ordinary differential equations, every row with steps of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.errors import ConvergenceError, UsageError
from pushforward.parts import Part
from pushforward.transforms.continuous.tableau import EVALUATIONS, ORDER, Drift, Rows, error_of, take_step

SAFETY = 0.9
"""The next step aims at this part of the one that would just meet the tolerance."""
SMOOTHING = 0.04
"""How much the last error steadies the next step (Hairer, Norsett, Wanner 1993, IV.2)."""
SHRINK, GROW = 0.2, 10.0
"""The most that a step changes by from one to the next."""
AT_START = 2
"""Evaluations before the first step: its slope, and one that finds its length."""
LONGEST = 0.25
"""The longest step, as a part of the span: a velocity that starts at zero shows no error however long a step is, and
its gradient would be that of a coarse rule."""
STRETCH = 1.01
"""A last step this much too short is stretched to the end."""


@dataclass(frozen=True)
class Statistics:
    """What a solve took, for each row, ``(n,)`` integers, or of a batch's shape.

    Attributes:
        accepted, rejected: steps.
        in_step, at_start: evaluations of the velocity in each step, and before the first.
    """

    accepted: Tensor
    rejected: Tensor
    in_step: int
    at_start: int

    @property
    def evaluations(self) -> Tensor:
        """Of the velocity, all together."""
        return self.at_start + self.in_step * (self.accepted + self.rejected)

    def reshape(self, batch: torch.Size) -> Statistics:
        """The same for rows that are a batch of that shape."""
        return replace(self, accepted=self.accepted.reshape(batch), rejected=self.rejected.reshape(batch))


@dataclass(frozen=True)
class Steps:
    """Steps that were taken at once: of the rows ``index`` from ``time`` and ``state`` by ``step``."""

    index: Tensor
    time: Tensor
    step: Tensor
    state: Tensor


class Solver(Protocol):
    """A way to solve equations, row by row.

    Attributes:
        tolerance: the error of a step.
        accuracy: of a log-determinant that is found so: exact up to the tolerance, or an estimate.
    """

    tolerance: float
    accuracy: Accuracy

    def solve(
        self,
        drift: Drift,
        start: Tensor,
        rows: Rows,
        span: tuple[float, float],
        record: Callable[[Steps], None] | None = None,
    ) -> tuple[Tensor, Statistics]:
        """Return the states at the end of a span of time, and what they took; see `DormandPrince.solve`."""
        ...

    def advance(self, drift: Drift, time: Tensor, state: Tensor, step: Tensor, rows: Rows) -> Tensor:
        """Return the state one step later, for those who compute a step anew."""
        ...


class DormandPrince(Part):
    r"""The adaptive Runge-Kutta method of order 5(4) of Dormand and Prince (1980), with a step size of its own for each
    row of the batch, so that no row's result depends on the others.

    A step's error ``e_i`` in each element is kept to ``|e_i| <= tolerance (1 + |y_i|)``; the step size is steered by
    the last two errors (a PI controller), the first one found by the rule of Hairer, Norsett and Wanner (1993, II.4).
    The slope at the end of a step is used again in the next, and rows that are done are left out.

    Args:
        tolerance: the error of a step, relative and absolute. In float32 no less than 1e-6 is aimed at, which is what
            rounding leaves.
        max_steps: the most steps of a row, rejected ones included.

    Shapes: the state is ``(N, M)``, a row for each trajectory; steps are counted for each row, ``(N,)``.

    Raises:
        UsageError: if the tolerance or the number of steps is not positive.

    Example:
        >>> decay = lambda time, state: -state
        >>> end, statistics = DormandPrince(1e-6).solve(decay, torch.ones(1, 1), (), (0.0, 1.0))
        >>> round(end.item(), 5), int(statistics.accepted) < 10
        (0.36788, True)
    """

    accuracy = Accuracy.EXACT

    def __init__(self, tolerance: float = 1e-5, max_steps: int = 1000) -> None:
        if not tolerance > 0 or max_steps < 1:
            raise UsageError(
                f"DormandPrince expects a positive tolerance and at least one step, got tolerance={tolerance}, "
                f"max_steps={max_steps}"
            )
        self.tolerance, self.max_steps = tolerance, max_steps

    def solve(
        self,
        drift: Drift,
        start: Tensor,
        rows: Rows,
        span: tuple[float, float],
        record: Callable[[Steps], None] | None = None,
    ) -> tuple[Tensor, Statistics]:
        """Return the states at the end of a span of time, ``(n, M)``, and what they took.

        Args:
            drift: ``dy/dt = drift(time, state, *rows)``, row by row.
            start: the states at its beginning, ``(n, M)``.
            rows: what else belongs to each row, ``(n, ...)`` each, or None.
            span: where time begins and ends; it may run backwards.
            record: told of every step that is taken.

        Raises:
            ConvergenceError: if a slope is not finite, a step too small to move the time, or there are too many.
        """
        begin, end = span
        longest = LONGEST * abs(end - begin)
        end_state, counts = start.clone(), start.new_zeros(2, len(start), dtype=torch.int64)
        index = torch.arange(len(start), device=start.device)
        time, state = start.new_full((len(start),), begin), start
        slope = drift(time, state, *rows)
        step, before = self._first_step(drift, time, state, slope, rows, end - begin), torch.full_like(time, 1e-4)
        for _ in range(self.max_steps):
            if not len(index):
                return end_state, Statistics(counts[0], counts[1], EVALUATIONS, AT_START)
            remaining = end - time
            step = step.clamp(-longest, longest)
            last = STRETCH * step.abs() >= remaining.abs()
            step = torch.where(last, remaining, step)
            self._check_step(index, time, step, slope, last)
            moved, *slopes = take_step(drift, time, state, step, slope, rows)
            slopes.append(drift(time + step, moved, *rows))
            error = self._relative(error_of(step, tuple(slopes)), torch.maximum(state.abs(), moved.abs()))
            good = error <= 1.0
            counts[0, index] += good
            counts[1, index] += ~good
            if record is not None:
                record(_picked(Steps(index, time, step, state), good))
            following = step * _factor(error, before, good)
            time = torch.where(good, time + step, time)
            state = torch.where(good.unsqueeze(-1), moved, state)
            slope = torch.where(good.unsqueeze(-1), slopes[-1], slope)
            before, step = torch.where(good, error.clamp_min(1e-4), before), following
            done = good & last
            if bool(done.any()):
                end_state[index[done]] = state[done]
                going = ~done
                index, time, state, slope = index[going], time[going], state[going], slope[going]
                step, before = step[going], before[going]
                rows = tuple(None if each is None else each[going] for each in rows)
        if len(index):
            raise ConvergenceError(
                f"a solver expected to arrive in {self.max_steps} steps, and sample {int(index[0])} is at time "
                f"{time[0].item():.6g} then ({len(index)} samples in all): the velocity is stiff; raise max_steps= or "
                f"the tolerance, or regularise the training"
            )
        return end_state, Statistics(counts[0], counts[1], EVALUATIONS, AT_START)

    def advance(self, drift: Drift, time: Tensor, state: Tensor, step: Tensor, rows: Rows) -> Tensor:
        """Return the state one step later."""
        return take_step(drift, time, state, step, drift(time, state, *rows), rows)[0]

    def _first_step(self, drift: Drift, time: Tensor, state: Tensor, slope: Tensor, rows: Rows, span: float) -> Tensor:
        """A step whose error should be about a hundredth of the tolerance, from how fast state and slope change."""
        size = state.abs()
        moving, slope_size = self._relative(state, size), self._relative(slope, size)
        known = (moving > 1e-5) & (slope_size > 1e-5)
        # Time runs over a span of order one, so that a hundredth of it does where nothing is known.
        short = torch.where(known, 0.01 * moving / slope_size.clamp_min(1e-30), 0.01 * abs(span))
        short = short.clamp_max(abs(span)) if span > 0 else -short.clamp_max(abs(span))
        slope_then = drift(time + short, torch.addcmul(state, short.unsqueeze(-1), slope), *rows)
        bend = self._relative(slope_then - slope, size) / short.abs()
        steepest = torch.maximum(slope_size, bend).nan_to_num(nan=torch.inf, posinf=torch.inf)
        long = (0.01 / steepest.clamp_min(1e-15)) ** (1.0 / ORDER)
        step = torch.minimum(100.0 * short.abs(), long).clamp(1e-3 * abs(span), abs(span))
        return step if span > 0 else -step

    def _relative(self, values: Tensor, size: Tensor) -> Tensor:
        """The largest of a row's values in units of what the tolerance allows."""
        tolerance = max(self.tolerance, 8.0 * torch.finfo(values.dtype).eps)
        return (values.abs() / (tolerance * (1.0 + size))).amax(-1)

    def _check_step(self, index: Tensor, time: Tensor, step: Tensor, slope: Tensor, last: Tensor) -> None:
        wrong = (step.abs() < 8.0 * torch.finfo(step.dtype).eps) & ~last
        wrong |= ~torch.isfinite(slope).all(-1)
        if bool(wrong.any()):
            first = int(wrong.nonzero()[0])
            raise ConvergenceError(
                f"a solver expected steps that move the time and velocities that are finite, and sample "
                f"{int(index[first])} is stuck at time {time[first].item():.6g} with a step of "
                f"{step[first].item():.3g}: look for values that are not finite in the data and the velocity; a "
                f"velocity that is too stiff needs a larger tolerance or a regularised training"
            )


def _factor(error: Tensor, before: Tensor, good: Tensor) -> Tensor:
    """By how much the step changes; after a rejection it does not grow. An error that is not finite shrinks it most."""
    power = 1.0 / ORDER - 0.75 * SMOOTHING
    factor = SAFETY * error.clamp_min(1e-10) ** -power * torch.where(good, before, 1.0) ** SMOOTHING
    factor = factor.nan_to_num(nan=SHRINK, posinf=GROW)
    return torch.where(good, factor.clamp(SHRINK, GROW), factor.clamp(SHRINK, 1.0))


def _picked(steps: Steps, good: Tensor) -> Steps:
    if bool(good.all()):
        return steps
    return Steps(steps.index[good], steps.time[good], steps.step[good], steps.state[good])
