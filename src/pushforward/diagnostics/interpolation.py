"""Walking between events through the latents of a flow."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.diagnostics.latents import Latents, check_walk, decode_walk, latents, scaled
from pushforward.errors import ShapeError, UsageError
from pushforward.flows.flow import Flow
from pushforward.kernels.modes import evaluating

Way = Callable[[Latents, Latents, float], Latents]
"""A way between latents, those of every level in a tuple: ``path(first, second, weight)``, weights from 0 to 1."""


def straight(first: Latents, second: Latents, weight: float) -> Latents:
    """Return ``(1 - t) a + t b`` of the latents of every level.

    Raises:
        ShapeError: if the two have not the same levels, of the same shapes.

    Example:
        >>> straight((torch.zeros(1, 2),), (torch.ones(1, 2),), 0.25)
        (tensor([[0.2500, 0.2500]]),)
    """
    _check_levels("straight", first, second)
    return tuple(torch.lerp(start, end, weight) for start, end in zip(first, second))


def spherical(first: Latents, second: Latents, weight: float) -> Latents:
    r"""Return ``(sin((1 - t) w) a + sin(t w) b) / sin w``, on the great circle through the latents of all levels, which
    count as one vector; ``w`` is the angle between ``a`` and ``b``.

    Samples of a standard normal in many dimensions lie near one sphere, and a straight line between two of them leads
    through its inside, where there are none. Where the two point the same way, or opposite ways, that have no single
    great circle, the way is straight.

    Raises:
        ShapeError: if the two have not the same levels, of the same shapes.

    Source: White (2016), Sampling generative networks, arXiv:1609.04468.

    Example:
        >>> (halfway,) = spherical((torch.tensor([[1.0, 0.0]]),), (torch.tensor([[0.0, 1.0]]),), 0.5)
        >>> halfway
        tensor([[0.7071, 0.7071]])
    """
    _check_levels("spherical", first, second)
    start, end = (_direction(_one_vector(levels)) for levels in (first, second))
    # By halves: the arc cosine of a product has lost the digits of small angles.
    angle = 2 * torch.atan2((end - start).norm(dim=-1), (end + start).norm(dim=-1))
    sine = torch.sin(angle)
    curved = sine > 1e-4
    safe = torch.where(curved, sine, 1.0)
    of_first = torch.where(curved, torch.sin((1 - weight) * angle) / safe, 1 - weight)
    of_second = torch.where(curved, torch.sin(weight * angle) / safe, weight)
    return tuple(scaled(of_first, level) + scaled(of_second, other) for level, other in zip(first, second))


@torch.no_grad()
def interpolate(flow: Flow, first: Tensor, second: Tensor, steps: int = 8, path: Way = straight) -> Tensor:
    """Return ``steps`` events from each of ``first`` to each of ``second``, through *all* latents.

    Args:
        flow: whose latents, those of every level, are interpolated.
        first, second: batches of events ``(N, ...)``.
        steps: how many events a walk has, both ends included; at least 2.
        path: the way from latents to others, :func:`straight` or :func:`spherical`.

    Returns:
        events ``(N, steps, ...)``.

    Raises:
        UsageError: for fewer than two steps, for a flow that takes a context or whose latents are whole numbers, or
            where the way leaves the latents, as a straight one does on a sphere.
        ShapeError: if the events are not ``(N, ...)``, as many of the first as of the second.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> interpolate(flow, torch.zeros(1, 2), torch.ones(1, 2), steps=3)[0, :, 0].tolist()
        [0.0, 0.5, 1.0]
    """
    for x in (first, second):
        check_walk(flow, x, "interpolate")
    if len(first) != len(second):
        raise ShapeError(f"interpolate expects as many first events as second, got {len(first)} and {len(second)}")
    if steps < 2:
        raise UsageError(f"interpolate expects at least 2 steps, got {steps}")
    with evaluating(flow):
        ends = latents(flow, first), latents(flow, second)
        walk = [path(*ends, weight) for weight in torch.linspace(0, 1, steps).tolist()]
        return decode_walk(flow, walk)


def _check_levels(owner: str, first: Latents, second: Latents) -> None:
    shapes, others = ([tuple(level.shape) for level in levels] for levels in (first, second))
    if shapes != others:
        raise ShapeError(f"{owner} expects latents of the same levels and shapes, got {shapes} and {others}")


def _one_vector(levels: Latents) -> Tensor:
    return torch.cat([level.flatten(1) for level in levels], 1)


def _direction(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)
