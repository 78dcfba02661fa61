"""Gradients through a solve."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pushforward.parts import Part
from pushforward.transforms.continuous.solver import Solver, Statistics, Steps
from pushforward.transforms.continuous.tableau import Drift, Rows


class Gradients(Protocol):
    """How a solve is differentiated."""

    def solve(
        self,
        solver: Solver,
        drift: Drift,
        parameters: list[nn.Parameter],
        start: Tensor,
        rows: Rows,
        span: tuple[float, float],
    ) -> tuple[Tensor, Statistics]:
        """Return the end of :meth:`DormandPrince.solve`, differentiable in the start, the rows and the parameters."""
        ...


class Checkpoints(Part):
    r"""The gradient of the numerical solution itself: the states at which steps began are kept, and each step is
    computed anew when the gradient comes to it (Zhuang et al. 2020, arXiv:2006.02493).

    It agrees with finite differences to rounding, whatever the solver's tolerance, where the gradient of an adjoint
    equation solved backwards is off by as much as the solution is. Memory grows by one state for each step, not by what
    the velocity computes. First derivatives only.
    """

    def solve(
        self,
        solver: Solver,
        drift: Drift,
        parameters: list[nn.Parameter],
        start: Tensor,
        rows: Rows,
        span: tuple[float, float],
    ) -> tuple[Tensor, Statistics]:
        wanted = any(each is not None and each.requires_grad for each in (start, *rows, *parameters))
        if not (torch.is_grad_enabled() and wanted):
            with torch.no_grad():
                return solver.solve(drift, start, rows, span)
        taken: list[Steps] = []
        with torch.no_grad():
            end, statistics = solver.solve(drift, start, rows, span, taken.append)
        return _Replayed.apply(solver, drift, taken, len(rows), end, start, *rows, *parameters), statistics


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        solver: Solver,
        drift: Drift,
        taken: list[Steps],
        count: int,
        end: Tensor,
        start: Tensor,
        *given: Tensor | None,
    ) -> Tensor:
        ctx.solver, ctx.drift, ctx.taken, ctx.count = solver, drift, taken, count
        ctx.save_for_backward(*given)
        return end.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        given = ctx.saved_tensors
        rows, parameters = given[: ctx.count], given[ctx.count :]
        wanted = ctx.needs_input_grad[6:]
        totals = [torch.zeros_like(each) if needed else None for each, needed in zip(given, wanted, strict=True)]
        gradient = gradient.clone()
        for steps in reversed(ctx.taken):
            if not len(steps.index):
                continue
            leaves = [
                None if each is None else each[steps.index].requires_grad_(needed)
                for each, needed in zip(rows, wanted, strict=False)
            ]
            state = steps.state.detach().requires_grad_()
            with torch.enable_grad():
                end = ctx.solver.advance(ctx.drift, steps.time, state, steps.step, tuple(leaves))
            inputs = [state, *leaves, *parameters]
            places = [None, *range(len(given))]
            chosen = [
                (place, each)
                for place, each in zip(places, inputs, strict=True)
                if place is None or totals[place] is not None
            ]
            found = torch.autograd.grad(end, [each for _, each in chosen], gradient[steps.index], allow_unused=True)
            for (place, _), change in zip(chosen, found, strict=True):
                if change is None:
                    continue
                if place is None:
                    gradient[steps.index] = change
                elif place < ctx.count:
                    totals[place].index_add_(0, steps.index, change)
                else:
                    totals[place].add_(change)
        return None, None, None, None, None, gradient, *totals
