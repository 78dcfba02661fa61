"""Gradients through a solve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pushforward.parts import Part
from pushforward.transforms.continuous.solver import Solver, Statistics, Steps
from pushforward.transforms.continuous.tableau import Drift, Rows


class Gradients(Protocol):
    """How a solve is differentiated."""

    def solve(
        self,
        solver: Solver,
        drift: Drift,
        velocity: nn.Module,
        start: Tensor,
        rows: Rows,
        span: tuple[float, float],
    ) -> tuple[Tensor, Statistics]:
        """Return the end of :meth:`DormandPrince.solve`, differentiable in the start, the rows and the parameters of
        the velocity that the drift follows."""
        ...


class Checkpoints(Part):
    r"""The gradient of the numerical solution on the steps that were taken: the states at which they began are kept,
    and each step is computed anew when the gradient comes to it, ``dL/dy_n = (d y_{n+1} / d y_n)^T dL/dy_{n+1}``
    (Zhuang et al. 2020, arXiv:2006.02493).

    On these steps it agrees with finite differences to rounding, whatever the solver's tolerance, where the gradient of
    an adjoint equation solved backwards is off by as much as the solution is. What the lengths of adaptive steps would
    add, which change with the state too, is of the order of the tolerance and left out. Memory grows by one state for
    each step, not by what the velocity computes. First derivatives only.

    Shapes: the state is ``(N, M)``, a row for each trajectory, and so is the end of the solve.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow(
        ...     [pf.transforms.Continuous(pf.networks.VelocityMLP(2), (2,), gradients=Checkpoints())],
        ...     pf.distributions.StandardNormal((2,)),
        ... )
        >>> x = torch.ones(5, 2, requires_grad=True)
        >>> flow.log_prob(x).sum().backward()
        >>> torch.equal(x.grad, -x)
        True
    """

    def solve(
        self,
        solver: Solver,
        drift: Drift,
        velocity: nn.Module,
        start: Tensor,
        rows: Rows,
        span: tuple[float, float],
    ) -> tuple[Tensor, Statistics]:
        """Return the end of :meth:`DormandPrince.solve`, of whose steps no graph is held: they are taken again, one by
        one, when gradients are asked for."""
        parameters = dict(velocity.named_parameters())
        wanted = any(each is not None and each.requires_grad for each in (start, *rows, *parameters.values()))
        if not (torch.is_grad_enabled() and wanted):
            with torch.no_grad():
                return solver.solve(drift, start, rows, span)
        taken: list[Steps] = []
        with torch.no_grad():
            end, statistics = solver.solve(drift, start, rows, span, taken.append)
        held = _Held(velocity, list(parameters))
        return _Replayed.apply(solver, drift, taken, held, end, start, *rows, *parameters.values()), statistics


class _Held(nn.Module):
    """A module whose parameters are those of an earlier call, while a function runs: ``torch.func.functional_call`` may
    have lent it others then."""

    def __init__(self, module: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, function: Callable[[], Tensor]) -> Tensor:
        return function()

    def during(self, parameters: tuple[Tensor, ...], function: Callable[[], Tensor]) -> Tensor:
        lent = {f"module.{name}": each for name, each in zip(self.names, parameters, strict=True)}
        return functional_call(self, lent, (function,))  # type: ignore[no-any-return]


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        solver: Solver,
        drift: Drift,
        taken: list[Steps],
        held: _Held,
        end: Tensor,
        start: Tensor,
        *given: Tensor | None,
    ) -> Tensor:
        ctx.solver, ctx.drift, ctx.taken, ctx.held = solver, drift, taken, held
        ctx.save_for_backward(*given)
        return end.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        given = ctx.saved_tensors
        wanted = ctx.needs_input_grad[6:]
        totals = [torch.zeros_like(each) if needed else None for each, needed in zip(given, wanted, strict=True)]
        count = len(given) - len(ctx.held.names)
        rows, parameters = given[:count], given[count:]

        def through_all() -> Tensor:
            changed = gradient.clone()
            for steps in reversed(ctx.taken):
                if len(steps.index):
                    _through(ctx.solver, ctx.drift, steps, rows, parameters, changed, totals)
            return changed

        with in_full_precision(gradient):
            changed = ctx.held.during(parameters, through_all)
        return None, None, None, None, None, changed, *totals


def _through(
    solver: Solver,
    drift: Drift,
    steps: Steps,
    rows: Rows,
    parameters: tuple[Tensor, ...],
    gradient: Tensor,
    totals: list[Tensor | None],
) -> None:
    """Take the gradient by the states behind steps to one by those before them, in place, and add what the rows and the
    parameters get to the totals, None where nothing is wanted."""
    leaves = [
        None if each is None else each[steps.index].requires_grad_(total is not None)
        for each, total in zip(rows, totals, strict=False)
    ]
    state = steps.state.detach().requires_grad_()
    with torch.enable_grad():
        end = solver.advance(drift, steps.time, state, steps.step, tuple(leaves))
    places = enumerate(zip([*leaves, *parameters], totals, strict=True))
    chosen = [(place, each, total) for place, (each, total) in places if each is not None and total is not None]
    inputs = [state, *(each for _, each, _ in chosen)]
    before, *found = torch.autograd.grad(end, inputs, gradient[steps.index], allow_unused=True)
    gradient[steps.index] = before
    for (place, _, total), change in zip(chosen, found, strict=True):
        if change is None:
            continue
        if place < len(rows):
            total.index_add_(0, steps.index, change)
        else:
            total.add_(change)


def in_full_precision(like: Tensor) -> torch.autocast:
    """Without autocast: a solver that looks for errors below the rounding of half precision finds that rounding."""
    return torch.autocast(like.device.type, enabled=False)
