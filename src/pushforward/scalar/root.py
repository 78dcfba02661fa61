"""Inverting increasing functions element by element: guarded Newton steps that end at the root's neighbours, and
derivatives by implicit differentiation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import ConvergenceError
from pushforward.kernels.iteration import State, count_true, derivatives_wanted, is_exported, iterate
from pushforward.scalar.float_order import halfway, number, rank

Increasing = Callable[[Tensor], tuple[Tensor, Tensor]]
"""``h``: a value to ``h(x)`` and ``log h'(x)``; what else it depends on, it has closed over."""

MIN_LOG_DERIVATIVE = -30.0
"""The flattest derivative that a gradient divides by: every gradient of the inverse stays finite."""

TOLERANCE = 1e-9
"""The error of ``h(x)`` relative to ``1 + |h(x)|`` that is left in float64; in float32 it is the last bits."""

QUICK_STEPS = 20
"""How many steps are taken before every second one halves what numbers are left."""

EXPORTED_STEPS = 200
"""The most steps in a graph for other programs, where no step can halve numbers by their bits: a root that they do not
reach, or that is no root between the ends that were expected, is NaN."""


NEAR = 8.0
"""Where most roots are, as data and latents are scaled: wide brackets are cut here first."""


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
    """The number at which ``h`` passes the target, or the one before it, by at most ``QUICK_STEPS`` and twice as many
    steps as numbers of this type have bits.

    An element that is done stays as it is, so that its root does not depend on the batch that it came in.
    """
    guess = _widened(*torch.broadcast_tensors(low, high))

    def quick(remaining: Tensor, *state: Tensor) -> State:
        return _step(h, target, *state)

    def sure(remaining: Tensor, *state: Tensor) -> State:
        low, high, x, newton, going = _step(h, target, *state)
        # Half of the numbers in between, every second time: that ends, however the function bends.
        halved = number(halfway(rank(low), rank(high)), x.dtype)
        return low, high, torch.where(going & (remaining % 2 == 0), halved, x), newton, going

    if is_exported():
        low, high, *_, going = iterate(quick, _going, _state(*guess), EXPORTED_STEPS)
        return torch.where(going | (low == guess[0]) | (high == guess[1]), torch.nan, _middle(low, high))
    low, high, *_ = iterate(quick, _going, _state(*guess), QUICK_STEPS)
    # An end that stayed where it was is only a guess. Where the search ran into it, it goes on beyond it.
    most = torch.full_like(low, torch.finfo(low.dtype).max)
    low, high = (
        torch.where((low == guess[0]) & (low < high), -most, low),
        torch.where((high == guess[1]) & (low < high), most, high),
    )
    low, high, *_, going = iterate(sure, _going, _state(low, high), 2 * torch.finfo(low.dtype).bits + QUICK_STEPS)
    found = ~going & (low > -most) & (high < most)
    failures = count_true(~found)
    if failures:
        raise ConvergenceError(
            f"An inverse expected values that its function reaches, got {failures} of {found.numel()} without a root: "
            f"look for NaN or infinite numbers in the inputs and the parameters, and for a function that does not "
            f"increase"
        )
    return torch.where(found, _middle(low, high), torch.nan)


def _widened(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Two finite numbers that are not the same, a little further out: rounding may have put the root outside."""
    # Overflow makes ends infinite, and a difference of two such ends NaN.
    largest = 0.1 * torch.finfo(low.dtype).max
    low, high = low.clamp(-largest, largest), high.clamp(-largest, largest)
    low, high = torch.nan_to_num(low, nan=-largest), torch.nan_to_num(high, nan=largest)
    low, high = torch.minimum(low, high), torch.maximum(low, high)
    info = torch.finfo(low.dtype)
    margin = 0.05 * (high - low) + 8.0 * (info.eps * torch.maximum(low.abs(), high.abs()) + info.tiny)
    return low - margin, high + margin


def _state(low: Tensor, high: Tensor) -> State:
    """What :func:`_step` goes on from: a bracket, the next number, the size of the last Newton step, who goes on."""
    middle = _middle(low, high)
    return low, high, middle, torch.full_like(middle, torch.inf), (low < middle) & (middle < high)


def _going(low: Tensor, high: Tensor, x: Tensor, newton: Tensor, going: Tensor) -> Tensor:
    return going


def _middle(low: Tensor, high: Tensor) -> Tensor:
    """The mean, which is one of the two where there is no number in between."""
    return 0.5 * low + 0.5 * high


def _split(low: Tensor, high: Tensor, middle: Tensor) -> Tensor:
    """Where a bracket is cut: in the middle, but first ``NEAR`` zero, where roots are, if the bracket is wide."""
    near = middle.clamp(-NEAR, NEAR)
    return torch.where((low < near) & (near < high), near, middle)


def _step(h: Increasing, target: Tensor, low: Tensor, high: Tensor, x: Tensor, last: Tensor, going: Tensor) -> State:
    """Narrow the bracket by the value at ``x``, choose the next number, and say where there is one in between.

    A Newton step is taken where it stays inside and is at most half as long as the one before (after Press et al.,
    Numerical Recipes, section 9.4). A longer one, which comes of rounding or of a bend, is made four times as long, but
    reaches no further than the middle: that gets the root between two numbers that are close. Else it is the middle.
    The root is met where the value is the target, or where the Newton step is too small to be taken.
    """
    value, log_slope = h(x)
    # What is not a number moves nothing, so that an element that is done stays as it is.
    residual = torch.where(going, value - target, torch.nan)
    newton = residual * torch.exp(-log_slope)
    following = x - newton
    met = (residual == 0) | (following == x)
    low, high = torch.where((residual < 0) | met, x, low), torch.where((residual > 0) | met, x, high)
    middle, size = _middle(low, high), newton.abs()
    going = (low < middle) & (middle < high)
    middle = _split(low, high, middle)
    further = torch.sub(x, newton, alpha=4)
    further = torch.where(newton < 0, torch.minimum(further, middle), torch.maximum(further, middle))
    inside = (low < following) & (following < high)
    following = torch.where(inside, torch.where(size <= 0.5 * last, following, further), middle)
    return low, high, following, size, going
