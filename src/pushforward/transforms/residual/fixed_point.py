"""The inverse of ``z = x + g(x)`` and its derivatives, both as fixed points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from pushforward.errors import UsageError
from pushforward.kernels.fixed_point import Iteration, fixed_point, fixed_point_of_rows
from pushforward.kernels.iteration import derivatives_wanted
from pushforward.networks.lipschitz.spectral import normalised_once
from pushforward.parts import Part
from pushforward.transforms.residual.log_determinants.base import Perturbation

TOLERANCE = 1e-10
"""The error at which an iteration ends in float64; in float32 it is the last bits."""


class FixedPointInverse(Part):
    r"""How ``x = z - g(x)`` is solved: by ``x <- z - g(x)``, each event until its error, which is at most
    ``L / (1 - L)`` times the last step's length, is below a tolerance, with Anderson acceleration (Walker, Ni 2011).

    Args:
        tolerance: the error, absolute, and relative where values are above 1; or what rounding allows.
        memory: how many past steps are combined; 0 for the plain iteration.
        limit: the most evaluations of ``g``.

    Raises:
        UsageError: for a tolerance or limit that is not positive, or a negative memory.

    Example:
        >>> FixedPointInverse(1e-6, memory=0)
        FixedPointInverse(tolerance=1e-06, memory=0)
    """

    def __init__(self, tolerance: float = TOLERANCE, memory: int = 2, limit: int = 2000) -> None:
        if tolerance <= 0 or memory < 0 or limit < 1:
            raise UsageError(
                f"FixedPointInverse expects a positive tolerance and limit and a memory of at least 0, got "
                f"{tolerance}, {limit} and {memory}"
            )
        self.tolerance, self.memory, self.limit = tolerance, memory, limit

    def solve(self, g: Perturbation, z: Tensor) -> Tensor:
        """The points whose images are ``z``, ``(rows, ...)``, differentiable once in ``z`` and what ``g`` depends on.

        Raises:
            ConvergenceError: a row has not arrived within the limit; in compiled code it is NaN.
        """
        given = () if g.context is None else (g.context.detach(),)

        def step(x: Tensor, z: Tensor, *context: Tensor) -> Tensor:
            return z - Perturbation(g.network, *context)(x)

        # The weights stay what they are from step to step: their norms are computed once.
        with torch.no_grad(), normalised_once(g.network):
            found = fixed_point_of_rows(step, z.detach(), (z.detach(), *given), self._iteration(g))
        return self._differentiable(g, z, found) if derivatives_wanted() else found

    def _differentiable(self, g: Perturbation, z: Tensor, found: Tensor) -> Tensor:
        """One step more, whose derivatives ``v`` are replaced by the solution of ``u = v - J^T u``: from
        ``dz = (I + J) dx``, a step ``dx = dz - dg`` carries them on to ``z`` and the parameters."""
        points = found.detach().requires_grad_()
        shift = g(points)
        x = z - shift

        def solved(gradient: Tensor) -> Tensor:
            # Of gradients only the proportions are known beforehand, so that a tolerance needs a unit.
            flat = gradient.flatten(1)
            unit = flat.square().mean(1).sqrt()
            unit = torch.where(unit > 0, unit, 1.0).reshape(-1, *[1] * (gradient.dim() - 1))
            right = gradient / unit

            def step(u: Tensor) -> Tensor:
                return right - torch.autograd.grad(shift, points, u, retain_graph=True)[0]

            return unit * fixed_point(step, right, self._iteration(g))

        return _WithGradient.apply(x, solved)  # type: ignore[no-any-return]

    def _iteration(self, g: Perturbation) -> Iteration:
        return Iteration(g.lipschitz / (1.0 - g.lipschitz), self.tolerance, self.limit, self.memory)


class _WithGradient(Function):
    """The same numbers, of whose gradients a function is taken on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.change = change
        ctx.save_for_backward(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        with torch.no_grad():
            changed = ctx.change(gradient)
        return _NotDifferentiable.apply(changed, gradient, *ctx.saved_tensors), None


class _NotDifferentiable(Function):
    """What was computed of other tensors without a graph, which says so if derivatives in them are asked for."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *made_of: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, ...]:  # type: ignore[override]
        raise UsageError("the fixed-point inverse of a residual layer is differentiable once, not twice")
