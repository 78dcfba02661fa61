"""Inverting maps with a triangular Jacobian of positive diagonal: guarded Newton steps along the diagonal, and
derivatives by implicit differentiation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from pushforward.errors import ConvergenceError
from pushforward.kernels.iteration import State, any_true, count_true, iterate

TriangularMap = Callable[[Tensor], tuple[Tensor, Tensor]]
"""``L``: rows of variables ``(N, D)`` to ``L(x)`` and the diagonal of its Jacobian, both ``(N, D)``."""

ROUNDING = 2.0
"""How many spacings of the numbers the values may be off where an iteration stops."""

STEPS = 256
"""The steps that a variable may take once those before it have come to rest: every other one halves its bracket, or the
Newton steps are half as long each, for more bits than a type has."""

Product = Callable[[tuple[Tensor, ...], Tensor], Tensor]
"""A matrix for each row, made of some tensors, times a vector of its variables."""


@dataclass(frozen=True)
class Linearised:
    """A triangular matrix ``J`` for each row of variables, by its products.

    Attributes:
        times, transposed: ``J v`` and ``J^T v``, called with ``tensors`` and ``v``.
        tensors: what the products are made of; the first is the diagonal.
    """

    times: Product
    transposed: Product
    tensors: tuple[Tensor, ...]


def solve_triangular_map(
    triangular: TriangularMap, target: Tensor, low: Tensor, high: Tensor, start: Tensor, *, reverse: bool = False
) -> Tensor:
    r"""The root ``x`` of ``L(x) = target`` by the iteration ``x <- x - diag(J)^-1 (L(x) - target)`` (Song, Meng, Ermon
    2019, arXiv:1907.07945, algorithm 1), all variables at once.

    Given those before it, each variable solves an equation in one unknown whose left side increases, and the iteration
    is Newton's for it. It is guarded: a bracket narrows with each residual's sign and is opened again where a variable
    before has moved; a step that leaves it, or is more than half as long as the one before, halves it instead. So the
    first variable comes to rest, then the second, and so on; most do so at once. A variable rests where its residual is
    what rounding leaves, or no number is left in its bracket. Rows do not see each other.

    Args:
        triangular: the map ``L``, whose variables depend on those before them in their rows.
        target: what it should reach, ``(N, D)``.
        low, high: a bracket of each variable's root that holds whatever those before it are.
        start: where the iteration begins.
        reverse: whether each variable depends on those behind it instead.

    Raises:
        ConvergenceError: where a row has not come to rest at numbers. In compiled code, which cannot raise, it is NaN.

    Example:
        >>> def bend(x):
        ...     first, second = x.unbind(-1)
        ...     value = torch.stack([first + first**3, second + 5 * first], -1)
        ...     return value, torch.stack([1 + 3 * first**2, torch.ones_like(second)], -1)
        >>> z = torch.tensor([[2.0, 7.0]])
        >>> solve_triangular_map(bend, z, z - 50, z + 50, z)
        tensor([[1., 2.]])
    """
    state = start.clamp(low, high), low, high, torch.full_like(target, torch.inf), torch.zeros_like(target).bool()

    def step(remaining: Tensor, *state: Tensor) -> State:
        return _step(triangular, target, low, high, reverse, *state)

    x, *_, resting = iterate(step, _unfinished, state, STEPS * target.shape[1])
    found = resting & torch.isfinite(x)
    failures = count_true(~found)
    if failures:
        raise ConvergenceError(
            f"The inverse of a map with a triangular Jacobian expected finite values and parameters, got {failures} of "
            f"{found.numel()} numbers without a root: look for NaN or infinite numbers in the inputs and the parameters"
        )
    return torch.where(found, x, torch.nan)


def follow(value: Tensor, target: Tensor, x: Tensor, jacobian: Linearised) -> Tensor:
    """The root ``x`` itself, with the derivatives of a Newton step from it, ``x - J^-1 (L(x) - target)``: those of the
    implicit function theorem. Done twice, second derivatives are right as well."""
    miss = value - target
    # The residual that rounding left is taken off: the value stays on the root that was found.
    step = _Solve.apply(miss - miss.detach(), jacobian.times, jacobian.transposed, *jacobian.tensors)
    return x - step  # type: ignore[no-any-return]


def solve_linearised(times: Product, tensors: tuple[Tensor, ...], b: Tensor) -> Tensor:
    """``J^-1 b`` by the iteration ``v <- v - diag(J)^-1 (J v - b)``, which is exact after as many steps as there are
    variables, and as a rule stops long before."""
    diagonal, spacing = tensors[0], ROUNDING * torch.finfo(b.dtype).eps

    def step(remaining: Tensor, v: Tensor, going: Tensor) -> State:
        change = (times(tensors, v) - b) / diagonal
        scale = v.abs().flatten(1).amax(1)
        moves = change.abs().flatten(1).amax(1) > spacing * scale
        rows = (-1, *[1] * (v.dim() - 1))
        return torch.where(going.view(rows), v - change, v), going & moves

    start = b / diagonal
    going = torch.ones_like(start.flatten(1)[:, 0]).bool()
    return iterate(step, lambda v, going: going, (start, going), math.prod(b.shape[1:]))[0]


def _any_before(marks: Tensor, reverse: bool) -> Tensor:
    """For each variable whether any before it in its row is marked."""
    counts = marks.cumsum(1)
    return counts[:, -1:] > counts if reverse else counts > marks


def _unfinished(*state: Tensor) -> Tensor:
    return ~state[-1]


def _step(
    triangular: TriangularMap,
    target: Tensor,
    least: Tensor,
    most: Tensor,
    reverse: bool,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    last: Tensor,
    resting: Tensor,
) -> State:
    value, slope = triangular(x)
    residual = value - target
    newton = residual / slope
    size = newton.abs()
    # What the numbers' spacing leaves: of the target, of x, and of what of the size of 1 was summed up.
    spacing = torch.maximum(target.abs(), slope * x.abs()).clamp_min(1.0) * torch.finfo(x.dtype).eps
    low, high = torch.where(residual < 0, x, low), torch.where(residual > 0, x, high)
    middle = 0.5 * low + 0.5 * high
    following = x - newton
    quick = (low < following) & (following < high) & (size <= 0.5 * last)
    following = torch.where(quick, following, middle)
    resting = resting | (residual.abs() <= ROUNDING * spacing) | ~((low < middle) & (middle < high))
    following = torch.where(resting, x, following)
    # A bracket holds for as long as the variables before rest where they are.
    opened = _any_before(following != x, reverse)
    return (
        following,
        torch.where(opened, least, low),
        torch.where(opened, most, high),
        torch.where(opened, torch.inf, size),
        resting & ~opened,
    )


class _Solve(Function):
    """``J^-1 b``, linear in ``b``; ``J`` is taken as it is, and what it is made of gets no gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(b: Tensor, times: Product, transposed: Product, *tensors: Tensor) -> Tensor:
        # Where derivatives alone are wanted, b is zero.
        return solve_linearised(times, tensors, b) if any_true(b != 0) else torch.zeros_like(b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.times, ctx.transposed, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        tensors = ctx.saved_tensors
        found = _Solve.apply(gradient, ctx.transposed, ctx.times, *tensors)
        return (found, None, None, *[None] * len(tensors))

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *others: Any) -> Tensor:  # type: ignore[override]
        return _Solve.apply(tangent, ctx.times, ctx.transposed, *ctx.saved_tensors)  # type: ignore[no-any-return]
