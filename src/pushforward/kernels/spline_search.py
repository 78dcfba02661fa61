"""What a rational-quadratic spline needs of each value's bin, picked before it is refined, with a gradient by formula.

The textbook makes all knots of all bins and looks two of them up; recorded step by step, its gradient passes over every
bin of every element dozens of times. Here the bins are only summed, the value's own are picked, and the slopes are
worked out for these alone. What is picked is linear in the widths ``w``, the heights ``h``, and the slopes ``s`` of the
bins, so that its gradient can be written down:

``dL/dw_j = g_total + [j < k] g_x + [j = k] g_w`` for a value in bin ``k``, the same for ``h``, and
``h = w s``, ``w = exp(b(raw))`` with ``b'(raw) = (1 + (raw / limit)^2)^(-3/2)`` for the bounded map ``b``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.kernels.spline_bins import Bins, Knots, knot_slope
from pushforward.numerics import bounded

Sizes = tuple[Tensor, Tensor, Tensor, Tensor]
"""Widths and slopes of the bins, ``(K, ...)``, and the factors ``b(raw) / raw`` of both."""


def is_searchable(value: Tensor, parameters: Tensor) -> bool:
    """Whether nothing but values and first or repeated backward gradients is asked for, in a precision with room."""
    return (
        parameters.dtype in (torch.float32, torch.float64) and value.shape == parameters.shape[:-1] and only_backward()
    )


def only_backward() -> bool:
    """Whether derivatives are taken backwards alone, not forwards and not for many functions at once."""
    return not torch._C._are_functorch_transforms_active() and torch.autograd.forward_ad._current_level < 0


def searched_knots(value: Tensor, axis: int, parameters: Tensor, bins: Bins) -> Knots:
    """The knots of the bin that holds each value, along the positions (``axis`` 0) or along the values (1)."""
    planes = parameters.movedim(-1, 0).contiguous()
    found = _Found.apply(planes, value.detach(), axis, bins)
    x, y, width, height, slopes, raw_knots, total_width, total_height, inner = found
    unit_x, unit_y = 2.0 * bins.bound / total_width, 2.0 * bins.bound / total_height
    inverse = unit_x / unit_y / slopes
    factors = bounded(raw_knots, bins.max_log_knot_slope)
    d0, d1 = torch.where(inner, knot_slope(factors, inverse[:2], inverse[1:]), 1.0)
    x0, y0 = x * unit_x - bins.bound, y * unit_y - bins.bound
    return [x0, y0, d0], [x0 + width * unit_x, y0 + height * unit_y, d1]


class _Found(torch.autograd.Function):
    """Of the bin of each value: the sums of widths ``x`` and of heights ``y`` before it, its width and height, the
    slopes ``(3, ...)`` of the bins before, here and after (at the ends those of the bin itself), the raw slopes
    ``(2, ...)`` of the knots at its ends, the sums of all widths and heights, and which of the two knots are inner."""

    @staticmethod
    def forward(ctx: Any, planes: Tensor, value: Tensor, axis: int, bins: Bins) -> tuple[Tensor, ...]:  # type: ignore[override]
        sizes = _bin_sizes(planes, bins)
        sums = _sums(sizes)
        bin_of = _bin(value, sums[axis], bins)
        ctx.save_for_backward(planes, bin_of, *sizes)
        ctx.bins = bins
        inner = _inner(bin_of, bins)
        ctx.mark_non_differentiable(inner)
        return *_picked(planes, bin_of, sizes, sums, bins), inner

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        planes, bin_of, *sizes = ctx.saved_tensors
        if not torch.is_grad_enabled():
            gradient = _gradient(planes, bin_of, (sizes[0], sizes[1], sizes[2], sizes[3]), ctx.bins, *gradients[:-1])
        else:
            # It is to be differentiated again, so it is recorded step by step.
            again = _bin_sizes(planes, ctx.bins)
            found = _picked(planes, bin_of, again, _sums(again), ctx.bins)
            gradient = torch.autograd.grad(found, planes, gradients[:-1], create_graph=True)[0]
        return gradient, None, None, None


def _bin_sizes(planes: Tensor, bins: Bins) -> Sizes:
    raw_widths, raw_slopes = planes[: bins.count], planes[bins.count : 2 * bins.count]
    width_factors, slope_factors = _factor(raw_widths, bins.max_log_width), _factor(raw_slopes, bins.max_log_slope)
    return (
        (raw_widths * width_factors).exp_(),
        (raw_slopes * slope_factors).exp_(),
        width_factors,
        slope_factors,
    )


def _factor(raw: Tensor, limit: float) -> Tensor:
    ratio = raw / limit
    return torch.addcmul(raw.new_ones(()), ratio, ratio).rsqrt_()


def _sums(sizes: Sizes) -> tuple[Tensor, Tensor]:
    """The sums ``(K + 1, ...)`` of the widths and of the heights before each knot."""
    widths, slopes, *_ = sizes
    zero = torch.zeros_like(widths[:1])
    return torch.cat([zero, widths.cumsum(0)]), torch.cat([zero, (widths * slopes).cumsum(0)])


def _bin(value: Tensor, sums: Tensor, bins: Bins) -> Tensor:
    """The index ``(1, ...)`` of the bin that holds each value."""
    # In units of the sums: there are fewer values than knots to bring there.
    return ((value + bins.bound) * (sums[-1] / (2.0 * bins.bound)) >= sums[1:-1]).sum(0, keepdim=True)


def _picked(
    planes: Tensor, bin_of: Tensor, sizes: Sizes, sums: tuple[Tensor, Tensor], bins: Bins
) -> tuple[Tensor, ...]:
    widths, slopes, *_ = sizes
    x, y = (each.gather(0, bin_of)[0] for each in sums)
    width, slope = widths.gather(0, bin_of)[0], slopes.gather(0, _neighbours(bin_of, bins))
    knots = torch.where(_inner(bin_of, bins), planes[2 * bins.count :].gather(0, _knots(bin_of, bins)), 0.0)
    return x, y, width, width * slope[1], slope, knots, sums[0][-1], sums[1][-1]


def _neighbours(bin_of: Tensor, bins: Bins) -> Tensor:
    """The bins before, here and after."""
    return torch.cat([(bin_of - 1).clamp_min(0), bin_of, (bin_of + 1).clamp_max(bins.count - 1)])


def _knots(bin_of: Tensor, bins: Bins) -> Tensor:
    """The inner knots at both ends of a bin, counted from 0."""
    return torch.cat([(bin_of - 1).clamp_min(0), bin_of.clamp_max(bins.count - 2)])


def _inner(bin_of: Tensor, bins: Bins) -> Tensor:
    """Whether the knots at both ends of a bin are inner ones."""
    return torch.cat([bin_of > 0, bin_of < bins.count - 1])


def _gradient(planes: Tensor, bin_of: Tensor, sizes: Sizes, bins: Bins, *gradients: Tensor) -> Tensor:
    widths, slopes, width_factors, slope_factors = sizes
    g_x, g_y, g_width, g_height, g_slope, g_knots, g_total_width, g_total_height = gradients
    before = torch.arange(bins.count, device=planes.device).view(-1, *[1] * (planes.dim() - 1)) < bin_of
    result = torch.zeros_like(planes)
    by_width, by_slope, by_knot = result.split([bins.count, bins.count, bins.count - 1])
    by_height = _of_sizes(before, bin_of, g_y, g_height, g_total_height)
    torch.addcmul(_of_sizes(before, bin_of, g_x, g_width, g_total_width), by_height, slopes, out=by_width)
    by_slope.scatter_add_(0, _neighbours(bin_of, bins), g_slope).addcmul_(by_height, widths)
    # Not as a power, which takes as long as ten products.
    by_width.mul_(widths).mul_(width_factors).mul_(width_factors.square())
    by_slope.mul_(slopes).mul_(slope_factors).mul_(slope_factors.square())
    by_knot.scatter_add_(0, _knots(bin_of, bins), torch.where(_inner(bin_of, bins), g_knots, 0.0))
    return result


def _of_sizes(before: Tensor, bin_of: Tensor, sum_before: Tensor, own: Tensor, total: Tensor) -> Tensor:
    """The gradient of sizes ``(K, ...)`` from those of their sum before the bin, the bin's own and the sum of all."""
    return torch.where(before, total + sum_before, total).scatter_add_(0, bin_of, own.unsqueeze(0))
