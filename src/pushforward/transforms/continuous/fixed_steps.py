"""Solution of ordinary differential equations in a fixed number of equal steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.errors import UsageError
from pushforward.parts import Part
from pushforward.transforms.continuous.solver import Statistics, Steps
from pushforward.transforms.continuous.tableau import Drift, Rows

RuleName = Literal["euler", "midpoint", "runge-kutta"]


@dataclass(frozen=True)
class Rule:
    """An explicit Runge-Kutta rule each of whose slopes starts from the one before.

    Attributes:
        order: the error of a whole solve is of the order ``step^order``.
        fractions: of the step, where each slope behind the first is taken.
        weights: of the slopes.
    """

    order: int
    fractions: tuple[float, ...]
    weights: tuple[float, ...]


RULES = {
    "euler": Rule(1, (), (1.0,)),
    "midpoint": Rule(2, (0.5,), (0.0, 1.0)),
    "runge-kutta": Rule(4, (0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


class FixedSteps(Part):
    r"""A few equal steps, ``y_{n+1} = y_n + h slope(t_n, y_n)``, whatever their error: for fields whose trajectories
    are nearly straight, as those that `reflow` trains, and for drawing fast.

    Nothing checks the error, so that ``log_prob`` of a flow solved so is no more than an estimate, and encoding is the
    inverse of decoding only up to that error. ``tolerance`` is what it is for a field whose derivatives are of order
    one, ``steps^-order``.

    Args:
        steps: how many.
        rule: ``"euler"``, of one evaluation a step and order 1, which is exact on straight lines; ``"midpoint"``, of
            two and order 2; ``"runge-kutta"``, the classical rule of four and order 4.

    Shapes: the state is ``(N, M)``, a row for each trajectory.

    Raises:
        UsageError: without a step, or for another rule.

    Source: Hairer, Norsett, Wanner (1993), Solving Ordinary Differential Equations I, section II.1, after Euler, Runge
    and Kutta.

    Example:
        >>> decay = lambda time, state: -state
        >>> FixedSteps(2).solve(decay, torch.ones(1, 1), (), (0.0, 1.0))[0].item()
        0.25
        >>> round(FixedSteps(8, "runge-kutta").solve(decay, torch.ones(1, 1), (), (0.0, 1.0))[0].item(), 5)
        0.36788
    """

    accuracy = Accuracy.ESTIMATE

    def __init__(self, steps: int = 4, rule: RuleName = "euler") -> None:
        if steps < 1 or rule not in get_args(RuleName):
            raise UsageError(
                f"FixedSteps expects at least one step by a rule of {', '.join(get_args(RuleName))}, got steps={steps} "
                f"and rule={rule!r}"
            )
        self.steps, self.rule = steps, RULES[rule]
        self.tolerance = float(steps) ** -self.rule.order

    def solve(
        self,
        drift: Drift,
        start: Tensor,
        rows: Rows,
        span: tuple[float, float],
        record: Callable[[Steps], None] | None = None,
    ) -> tuple[Tensor, Statistics]:
        """Return the states at the end of a span of time, ``(n, M)``, and what they took; arguments as those of
        `DormandPrince`."""
        begin, end = span
        index, step = torch.arange(len(start), device=start.device), (end - begin) / self.steps
        state, steps = start, start.new_full((len(start),), step)
        for number in range(self.steps):
            time = start.new_full((len(start),), begin + number * step)
            if record is not None:
                record(Steps(index, time, steps, state))
            state = self.advance(drift, time, state, steps, rows)
        taken = torch.full_like(index, self.steps)
        return state, Statistics(taken, torch.zeros_like(taken), len(self.rule.weights), 0)

    def advance(self, drift: Drift, time: Tensor, state: Tensor, step: Tensor, rows: Rows) -> Tensor:
        """Return the state one step later."""
        lengths = step.unsqueeze(-1)
        slope = drift(time, state, *rows)
        total = self.rule.weights[0] * slope
        for fraction, weight in zip(self.rule.fractions, self.rule.weights[1:], strict=True):
            slope = drift(time + fraction * step, torch.addcmul(state, fraction * lengths, slope), *rows)
            total = torch.add(total, slope, alpha=weight)
        return torch.addcmul(state, lengths, total)
