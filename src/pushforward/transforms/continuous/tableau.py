"""The Runge-Kutta pair of Dormand and Prince, one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Drift = Callable[..., Tensor]
"""The right-hand side of ``dy/dt = drift(t, y, *rows)``, row by row: times ``(n,)``, states ``(n, M)``, and whatever
else belongs to each row."""

Rows = tuple[Tensor | None, ...]

ORDER = 5
TIMES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
SOLUTION = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
EVALUATIONS = 6
"""Of the drift in each step: the slope at its end is that at the beginning of the next."""


def take_step(drift: Drift, time: Tensor, state: Tensor, step: Tensor, slope: Tensor, rows: Rows) -> tuple[Tensor, ...]:
    """Return the state one step later, by the formula of order 5, and the slopes that it was made of.

    Args:
        time, step: ``(n,)``, one for each row.
        state, slope: ``(n, M)``, the slope being the drift at the state.
    """
    slopes = [slope]
    for weights, fraction in zip(STAGES, TIMES[1:], strict=True):
        slopes.append(drift(time + fraction * step, _moved(state, step, slopes, weights), *rows))
    return _moved(state, step, slopes, SOLUTION), *slopes


def error_of(step: Tensor, slopes: tuple[Tensor, ...]) -> Tensor:
    """The difference of the formulas of orders 5 and 4, of the slopes of a step and the one at its end."""
    return step.unsqueeze(-1) * _combined(slopes, ERROR)


def _moved(state: Tensor, step: Tensor, slopes: Any, weights: tuple[float, ...]) -> Tensor:
    return torch.addcmul(state, step.unsqueeze(-1), _combined(slopes, weights))


def _combined(slopes: Any, weights: tuple[float, ...]) -> Tensor:
    """``sum_j weights_j slopes_j``, term by term, so that no row's rounding depends on how many there are."""
    total: Tensor | None = None
    for slope, weight in zip(slopes, weights, strict=True):
        if weight:
            total = slope * weight if total is None else torch.add(total, slope, alpha=weight)
    assert total is not None
    return total
