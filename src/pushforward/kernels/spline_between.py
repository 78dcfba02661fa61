r"""A rational-quadratic spline between two knots, with its gradient by formula where that is recorded.

With ``t``, ``u``, ``s``, ``w``, ``h``, ``d0``, ``d1`` as in :mod:`pushforward.scalar.splines.rational_quadratic`, and
``A = s t^2 + d0 u``, ``D = s + (d0 + d1 - 2 s) u``, ``N = d1 t^2 + 2 s u + d0 (1 - t)^2``,

``z = y0 + h A / D`` and ``log dz/dx = log N + 2 log s - 2 log D``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.kernels.spline_search import only_backward

Pair = tuple[Tensor, Tensor]
Textbook = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor]], Pair]


def between_knots(textbook: Textbook, x: Tensor, left: Sequence[Tensor], right: Sequence[Tensor]) -> Pair:
    """Value and log-derivative between two knots (position, value, slope): by the textbook's function, which is told
    the gradient where one is recorded."""
    if torch.compiler.is_compiling() or not torch.is_grad_enabled() or not only_backward():
        return textbook(x, left, right)
    return _Between.apply(textbook, x, *left, *right)  # type: ignore[no-any-return]


class _Between(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, textbook: Textbook, x: Tensor, *knots: Tensor) -> Pair:  # type: ignore[override]
        ctx.textbook = textbook
        ctx.save_for_backward(x, *knots)
        return textbook(x, knots[:3], knots[3:])

    @staticmethod
    def backward(ctx: Any, by_z: Tensor, by_log: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, *knots = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return None, *_gradients(by_z, by_log, x, *knots)
        # It is to be differentiated again, so it is recorded step by step: by copies, as one knot may follow from the
        # other.
        x, *knots = (each.view_as(each) for each in (x, *knots))
        wanted = [each for each in (x, *knots) if each.requires_grad]
        outputs = ctx.textbook(x, knots[:3], knots[3:])
        found = iter(torch.autograd.grad(outputs, wanted, (by_z, by_log), create_graph=True))
        return None, *(next(found) if each.requires_grad else None for each in (x, *knots))


def _gradients(
    by_z: Tensor,
    by_log: Tensor,
    x: Tensor,
    x0: Tensor,
    y0: Tensor,
    d0: Tensor,
    x1: Tensor,
    y1: Tensor,
    d1: Tensor,
) -> tuple[Tensor, ...]:
    """The gradients of the value and of the knots."""
    width, height = x1 - x0, y1 - y0
    slope, t = height / width, (x - x0) / width
    rest = 1.0 - t
    u, t2, rest2 = t * rest, t * t, rest * rest
    bend = d0 + d1 - 2.0 * slope
    inverse = 1.0 / torch.addcmul(slope, bend, u)
    share = (slope * t2).addcmul_(d0, u).mul_(inverse)
    by_n = by_log / (d1 * t2).addcmul_(slope, u, value=2.0).addcmul_(d0, rest2)
    by_a = by_z * height * inverse
    by_d = -(by_a * share).add_(by_log * inverse, alpha=2.0)
    by_au = by_a + by_d
    by_slope = (2.0 * by_log / slope).addcmul_(by_a, t2).add_(by_d).addcmul_(u, by_n - by_d, value=2.0)
    by_u = (by_a * d0).addcmul_(by_d, bend).addcmul_(by_n, slope, value=2.0)
    by_t = (by_u * (rest - t)).addcmul_(by_a * slope, t, value=2.0)
    by_t.addcmul_(by_n, d1 * t - d0 * rest, value=2.0)
    by_x = by_t / width
    by_unit = by_slope / width
    by_height = torch.addcmul(by_unit, by_z, share)
    by_width = -(by_unit * slope).addcmul_(by_x, t)
    return (
        by_x,
        -by_x - by_width,
        by_z - by_height,
        (by_au * u).addcmul_(by_n, rest2),
        by_width,
        by_height,
        (by_d * u).addcmul_(by_n, t2),
    )
