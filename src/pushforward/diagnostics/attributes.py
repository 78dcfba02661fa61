"""Attributes as directions in the latents of a flow, and events moved along them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.diagnostics.latents import Latents, decode_walk, latents
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow

CHUNK = 256
"""How many events are encoded at a time."""


@torch.no_grad()
def attribute_direction(flow: Flow, having: Tensor, lacking: Tensor) -> Latents:
    r"""Return the direction of an attribute, ``mean f(x_having) - mean f(x_lacking)``, for the latents of every level.

    Nothing is trained: the flow has not seen the attribute, and a few dozen events of either kind are enough.

    Args:
        flow: a trained flow, without a context.
        having, lacking: events ``(N, ...)`` with the attribute and without it.

    Raises:
        UsageError: if there are no events of one kind, or the flow takes a context.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039, section 5.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> attribute_direction(flow, torch.ones(4, 2), torch.zeros(4, 2))
        (tensor([1., 1.]),)
    """
    if flow.context is not None:
        raise UsageError("attribute_direction expects a flow without a context, and this one takes one")
    if not len(having) or not len(lacking):
        raise UsageError(
            f"attribute_direction expects events with the attribute and without it, got {len(having)} and "
            f"{len(lacking)}"
        )
    return tuple(present - absent for present, absent in zip(mean_latents(flow, having), mean_latents(flow, lacking)))


@torch.no_grad()
def mean_latents(flow: Flow, x: Tensor) -> Latents:
    """Return the mean latents of events ``(N, ...)``, for every level."""
    sums = [tuple(level.sum(0) for level in latents(flow, chunk)) for chunk in x.split(CHUNK)]
    return tuple(torch.stack(level).sum(0) / len(x) for level in zip(*sums))


@torch.no_grad()
def manipulate(flow: Flow, x: Tensor, direction: Latents, strengths: Sequence[float]) -> Tensor:
    r"""Return each event at each strength of an attribute, ``f^-1(f(x) + a d)``; at 0 it is the event itself.

    Args:
        flow: the flow whose latents ``direction`` is of.
        x: events ``(N, ...)``.
        direction: one for each level, as :func:`attribute_direction` gives it.
        strengths: the ``a``; 1 is the whole way from the mean without the attribute to that with it.

    Returns:
        events ``(N, len(strengths), ...)``.

    Raises:
        UsageError: if the direction does not have the flow's levels, or there are no strengths.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039, section 5.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> manipulate(flow, torch.zeros(1, 2), (torch.tensor([1.0, 0.0]),), [-1.0, 0.0, 1.0])
        tensor([[[-1.,  0.],
                 [ 0.,  0.],
                 [ 1.,  0.]]])
    """
    start = latents(flow, x)
    shapes = [tuple(level.shape[1:]) for level in start]
    if shapes != [tuple(level.shape) for level in direction] or not len(strengths):
        raise UsageError(
            f"manipulate expects strengths, and a direction with a tensor for each level of the flow, of shapes "
            f"{shapes}"
        )
    walk = [tuple(level + strength * step for level, step in zip(start, direction)) for strength in strengths]
    return decode_walk(flow, walk)
