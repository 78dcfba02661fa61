"""Inverting increasing functions element by element: guarded Newton steps, gradients by implicit differentiation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Increasing = Callable[[Tensor], tuple[Tensor, Tensor]]
"""``h``: a value to ``h(x)`` and ``log h'(x)``; what else it depends on, it has closed over."""

MIN_LOG_DERIVATIVE = -30.0
"""The flattest derivative that a step divides by: the step, and so every gradient of the inverse, stays finite."""

TOLERANCE = 1e-9
"""The error of ``h(x)`` relative to ``1 + |h(x)|`` that is left in float64; in float32 it is the last bits."""

FEWEST_STEPS = 28
STEPS = {torch.float64: 50}
"""How many guarded steps a root takes: 28, and more in a precision with more bits. Halving alone, with no Newton step
taken, brings a bracket ten wide down to the last bits."""


def bisect_newton(h: Increasing, target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The root of ``h(x) = target`` in ``[low, high]`` by a fixed number of Newton steps guarded by bisection.

    A Newton step is taken where it stays inside the bracket and is at most half as long as the step before, a
    bisection where not (Press et al., Numerical Recipes, section 9.4), so the steps shrink at least by half. The number
    of steps is fixed so that it compiles, and so that an element's root does not depend on the batch it came in.
    """
    with torch.no_grad():
        x = 0.5 * (low + high)
        last_step = high - low
        for _ in range(STEPS.get(target.dtype, FEWEST_STEPS)):
            value, log_derivative = h(x)
            residual = value - target
            low = torch.where(residual < 0, x, low)
            high = torch.where(residual > 0, x, high)
            newton = residual * torch.exp(-log_derivative.clamp_min(MIN_LOG_DERIVATIVE))
            proposal = x - newton
            accept = (proposal >= low) & (proposal <= high) & (newton.abs() <= 0.5 * last_step)
            following = torch.where(accept, proposal, low + 0.5 * (high - low))
            last_step = (following - x).abs()
            x = following
    return x


def invert(h: Increasing, target: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    r"""The root ``x`` of ``h(x) = target`` and ``-log h'(x)``, both differentiable.

    One more Newton step, seen by autograd, from the root found without it: its derivative is that of the implicit
    function theorem, ``dx = (d target - dh) / h'``, with respect to the target and to whatever ``h`` depends on.
    First derivatives are exact; second ones are not.
    """
    root = bisect_newton(h, target, low, high)
    value, log_derivative = h(root)
    x = root - (value - target) * torch.exp(-log_derivative.detach().clamp_min(MIN_LOG_DERIVATIVE))
    return x, -h(x)[1]
