"""Inverting increasing functions element by element: guarded Newton steps that end at the root's neighbours, and
derivatives by implicit differentiation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import ConvergenceError
from pushforward.kernels.iteration import count_true, derivatives_wanted, iterate
from pushforward.scalar.float_order import half_distance, halfway, number, rank

Increasing = Callable[[Tensor], tuple[Tensor, Tensor]]
"""``h``: a value to ``h(x)`` and ``log h'(x)``; what else it depends on, it has closed over."""

MIN_LOG_DERIVATIVE = -30.0
"""The flattest derivative that a gradient divides by: every gradient of the inverse stays finite."""

TOLERANCE = 1e-9
"""The error of ``h(x)`` relative to ``1 + |h(x)|`` that is left in float64; in float32 it is the last bits."""

SPARE_STEPS = 16
"""How many steps may do less than a halving of the ranks every second time would, before halving takes over."""


def solve(h: Increasing, target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    r"""The root ``x`` of ``h(x) = target``, differentiable with respect to the target and to what ``h`` depends on.

    The derivative is that of the implicit function theorem, ``dx = (d target - dh) / h'``. It is written as Newton
    steps from the root, whose values are zero but whose derivatives are not: each step doubles the order to which the
    derivatives are right, so two of them give first, second and third derivatives.

    Args:
        h: an increasing function.
        target: what it should reach.
        low, high: where the root is expected; it is found elsewhere too, though more slowly.

    Raises:
        ConvergenceError: an element has no root among the numbers of its type. In compiled code, which cannot raise, it
            is NaN.

    Example:
        >>> z = torch.tensor([0.5, 30.0], requires_grad=True)
        >>> x = solve(lambda x: (x + x**3, torch.log(1 + 3 * x**2)), z, torch.zeros(2), z)
        >>> bool(torch.allclose(x + x**3, z))
        True
        >>> bool(torch.allclose(torch.autograd.grad(x.sum(), z)[0], 1 / (1 + 3 * x**2)))
        True
    """
    root = _find(h, target, low, high).detach()
    if not derivatives_wanted():
        return root
    return _follow(h, target, _follow(h, target, root))


def invert(h: Increasing, target: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The root as :func:`solve` gives it, and ``-log h'`` there."""
    x = solve(h, target, low, high)
    return x, -h(x)[1]


def _follow(h: Increasing, target: Tensor, x: Tensor) -> Tensor:
    """``x`` itself, with the derivatives of a Newton step from it."""
    value, log_slope = h(x)
    miss = value - target
    # The residual that rounding left is taken off: the value stays on the root that was found.
    return x - (miss - miss.detach()) * torch.exp(-log_slope.clamp_min(MIN_LOG_DERIVATIVE))


@torch.no_grad()
def _find(h: Increasing, target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    low, high = _finite_bracket(*torch.broadcast_tensors(low, high))
    start, low, high = rank(_middle(low, high)), rank(low), rank(high)
    start = torch.minimum(torch.maximum(start, low), high)
    # The ends themselves are in between: rounding may have put the root on one of them.
    low, high = low - 1, high + 1
    nothing = torch.zeros_like(low, dtype=target.dtype)
    below, above, x, miss = _search(h, target, low, high, start, nothing, nothing + torch.inf)
    # An end that stayed where it was is only a guess: where the search ran into it, it goes on beyond it.
    past_low, past_high = (below == low) & (below < above), (above == high) & (below < above)
    least, most = rank(nothing - torch.inf), rank(nothing + torch.inf)
    start = torch.where(past_high, high, torch.where(past_low, low, rank(x)))
    opened = torch.where(past_low, least, below), torch.where(past_high, most, above)
    below, above, x, miss = _search(h, target, *opened, start, x, miss)
    found = torch.isfinite(miss) & ~_apart(below, above) & (below != least) & (above != most)
    failures = count_true(~found)
    if failures:
        raise ConvergenceError(
            f"An inverse expected values that its function reaches, got {failures} of {found.numel()} without a root: "
            f"look for NaN or infinite numbers in the inputs and the parameters, and for a function that does not "
            f"increase"
        )
    return torch.where(found, x, torch.nan)


def _finite_bracket(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Two numbers, the smaller first: overflow makes ends infinite, and a difference of two such ends NaN."""
    largest = torch.finfo(low.dtype).max
    low, high = torch.nan_to_num(low, nan=-largest), torch.nan_to_num(high, nan=largest)
    return torch.minimum(low, high), torch.maximum(low, high)


def _middle(low: Tensor, high: Tensor) -> Tensor:
    """A number between two: their mean where they are small, their geometric mean where they are large."""
    logs = [torch.sign(end) * torch.log1p(end.abs()) for end in (low, high)]
    mean = 0.5 * (logs[0] + logs[1])
    return torch.sign(mean) * torch.expm1(mean.abs())


def _apart(below: Tensor, above: Tensor) -> Tensor:
    """Whether there are numbers between these two ranks."""
    # Not above - below > 1, which may overflow.
    return (below < above) & (below < above - 1)


def _search(
    h: Increasing, target: Tensor, below: Tensor, above: Tensor, start: Tensor, best: Tensor, miss: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Narrow the bracket until its ends are neighbours, or one, where the root is met.

    Brackets are ranks, see :mod:`pushforward.scalar.float_order`. A Newton step is taken where it stays inside and is
    at most half as long as the one before (after Press et al., Numerical Recipes, section 9.4). A longer one, which
    comes of rounding or of a bend, is made four times as long, but reaches no further than the middle: that gets the
    root between two numbers that are close. A step out of the bracket is replaced by its middle, or by the end where it
    only just passes an end that nobody has looked at. Where no more than twice as many steps are left as halving the
    ranks takes, they are halved: that ends, however the function bends (as in the ITP method of Oliveira, Takahashi
    2020). An element that is done stays as it is, so its root does not depend on the batch that it came in.

    Returns:
        The bracket, and the number whose value is closest to the target with its distance.
    """
    dtype = target.dtype
    limit = 2 * torch.iinfo(below.dtype).bits + SPARE_STEPS

    def unfinished(below: Tensor, above: Tensor, *rest: Tensor) -> Tensor:
        return _apart(below, above)

    def step(remaining: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        below, above, x, last_newton, best, miss = state
        going = _apart(below, above)
        here = rank(x)
        value, log_slope = h(x)
        residual = value - target
        # Far out a function may overflow to NaN: that is beyond the root, on the side of the start it lies on.
        residual = torch.where(torch.isnan(residual), torch.sign(x - origin) * torch.inf, residual)
        newton = residual * torch.exp(-log_slope)
        following = x - newton

        met = going & ((residual == 0) | ((following == x) & torch.isfinite(residual)))
        below = torch.where(going & (residual < 0) | met, here, below)
        above = torch.where(going & (residual > 0) | met, here, above)
        closer = going & (met | (residual.abs() < miss))
        best, miss = torch.where(closer, x, best), torch.where(closer, residual.abs(), miss)

        proposal = _proposal(
            x, newton, newton.abs() <= 0.5 * last_newton, below, above, below == first_below, above == first_above
        )
        late = half_distance(below, above) > torch.exp2(0.5 * (remaining - 4).to(dtype))
        proposal = torch.where(late, halfway(below, above), proposal)
        proposal = torch.minimum(torch.maximum(proposal, below + 1), above - 1)
        following = torch.where(_apart(below, above), number(proposal, dtype), x)
        return below, above, following, newton.abs(), best, miss

    origin = number(start, dtype)
    first_below, first_above = below, above
    state = (below, above, origin, torch.full_like(best, torch.inf), best, miss)
    below, above, _, _, best, miss = iterate(step, unfinished, state, limit)
    return below, above, best, miss


def _proposal(
    x: Tensor, newton: Tensor, shorter: Tensor, below: Tensor, above: Tensor, new_below: Tensor, new_above: Tensor
) -> Tensor:
    """The rank of the number to go to from ``x``, where nothing presses; ``new`` ends have not been looked at."""
    low, high = number(below, x.dtype), number(above, x.dtype)
    middle, following = rank(_middle(low, high)), rank(x - newton)
    inside = (following > below) & (following < above)
    further = rank(x - 4.0 * newton)
    further = torch.where(newton < 0, torch.minimum(further + 2, middle), torch.maximum(further - 2, middle))
    margin = 0.1 * (high - low)
    at_low = new_below & (following <= below) & (x - newton > low - margin)
    at_high = new_above & (following >= above) & (x - newton < high + margin)
    return torch.where(inside & ~shorter, further, torch.where(inside | at_low | at_high, following, middle))
