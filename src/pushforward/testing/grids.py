"""Points to sum a density over: grids of one or two dimensions, and all points of a small discrete space."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.spaces import Circle, Integers, Interval, OneHot, Reals, Space

POINTS = {1: 3000, 2: 250}
"""How many points an axis has, for events of one dimension and of two."""

MOST_POINTS = 40_000
REACH = 14.0
"""How far a grid goes in what its spacing is even in: half lines to e^14 scales, the reals to sinh(14)."""


def all_points(space: Space, samples: Tensor) -> Tensor | None:
    """Return all points of a small discrete space, or those near samples where it has no bounds; None for another."""
    if isinstance(space, OneHot):
        if space.classes**space.variables > MOST_POINTS:
            return None
        every = torch.tensor(list(product(range(space.classes), repeat=space.variables)))
        return F.one_hot(every, space.classes).double()
    if not isinstance(space, Integers) or not space.shape:
        return None
    low, high = space.low, space.high
    wide = int(40 * (samples - samples.median()).abs().median()) + 50
    low = int(samples.median()) - wide if low is None else low
    high = int(samples.median()) + wide if high is None else high
    if (high - low + 1) ** space.shape.numel() > MOST_POINTS:
        return None
    axis = torch.arange(low, high + 1, dtype=torch.float64)
    return torch.cartesian_prod(*[axis] * space.shape.numel()).reshape(-1, *space.shape)


def axes_of(space: Space, samples: Tensor, refinement: int = 1) -> list[tuple[Tensor, Tensor]] | None:
    """Return for each element of vectors of one or two the grid's points and how wide each one's cell is; None for
    spaces that no grid covers."""
    if len(space.shape) != 1 or space.shape[0] not in POINTS or space.discrete or space.dimensions != space.shape[0]:
        return None
    count = POINTS[space.shape[0]] * refinement
    axes = [_axis(element, samples[:, index], count) for index, element in enumerate(space.elements())]
    return None if any(axis is None for axis in axes) else axes  # type: ignore[return-value]


def _axis(space: Space, samples: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    even = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    u, du = REACH * (2 * even - 1), 2 * REACH / count
    if isinstance(space, Reals):
        center = samples.median()
        # Small, so that narrow peaks are seen: beyond it the points lie apart as far as they lie from the center.
        scale = (samples - center).abs().quantile(0.1).clamp_min(1e-12)
        return center + scale * torch.sinh(u), scale * torch.cosh(u) * du
    if isinstance(space, Circle):
        return space.low + space.period * even, torch.full_like(even, space.period / count)
    if not isinstance(space, Interval):
        return None
    if math.isfinite(space.high - space.low):
        # Closer at the ends, where a density may rise without bound.
        inner = torch.sigmoid(u)
        width = space.high - space.low
        return space.low + width * inner, width * inner * torch.sigmoid(-u) * du
    if math.isfinite(space.low):
        scale = (samples - space.low).abs().median().clamp_min(1e-12)
        return space.low + scale * torch.exp(u), scale * torch.exp(u) * du
    scale = (samples - space.high).abs().median().clamp_min(1e-12)
    return space.high - scale * torch.exp(-u), scale * torch.exp(-u) * du
