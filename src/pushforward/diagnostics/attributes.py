"""Attributes as directions in the latents of a flow, and events moved along them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.diagnostics.latents import Latents, check_walk, decode_walk, latents
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.kernels.modes import evaluating

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
        UsageError: if there are no events of one kind, the flow takes a context, or its latents are whole numbers.
        ShapeError: if the events are not ``(N, ...)``.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039, section 5.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> attribute_direction(flow, torch.ones(4, 2), torch.zeros(4, 2))
        (tensor([1., 1.]),)
    """
    for x in (having, lacking):
        check_walk(flow, x, "attribute_direction")
    if not len(having) or not len(lacking):
        raise UsageError(
            f"attribute_direction expects events with the attribute and without it, got {len(having)} and "
            f"{len(lacking)}"
        )
    means = mean_latents(flow, having), mean_latents(flow, lacking)
    return tuple(present - absent for present, absent in zip(*means))


@torch.no_grad()
def mean_latents(flow: Flow, x: Tensor) -> Latents:
    """Return the mean latents of events ``(N, ...)``, for every level."""
    with evaluating(flow):
        sums = [tuple(level.sum(0) for level in latents(flow, chunk)) for chunk in x.split(CHUNK)]
    return tuple(torch.stack(level).sum(0) / len(x) for level in zip(*sums))


@torch.no_grad()
def manipulate(flow: Flow, x: Tensor, direction: Latents, strengths: Sequence[float]) -> Tensor:
    r"""Return each event at each strength of an attribute, ``f^-1(f(x) + a d)``; at 0 it is the event itself
    (of a variational autoencoder, its reconstruction).

    Args:
        flow: the flow whose latents ``direction`` is of.
        x: events ``(N, ...)``.
        direction: one for each level, as :func:`attribute_direction` gives it.
        strengths: the ``a``; 1 is the whole way from the mean without the attribute to that with it.

    Returns:
        events ``(N, len(strengths), ...)``.

    Raises:
        UsageError: if the direction does not have the flow's levels, there are no finite strengths, or the events come
            to lie where the flow has no latents.
        ShapeError: if the events are not ``(N, ...)``.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039, section 5.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> manipulate(flow, torch.zeros(1, 2), (torch.tensor([1.0, 0.0]),), [-1.0, 0.0, 1.0])
        tensor([[[-1.,  0.],
                 [ 0.,  0.],
                 [ 1.,  0.]]])
    """
    check_walk(flow, x, "manipulate")
    if not len(strengths) or not all(math.isfinite(strength) for strength in strengths):
        raise UsageError(f"manipulate expects finite strengths, at least one, got {list(strengths)}")
    with evaluating(flow):
        start = latents(flow, x)
        shapes = [tuple(level.shape[1:]) for level in start]
        if shapes != [tuple(level.shape) for level in direction]:
            raise UsageError(
                f"manipulate expects a direction with a tensor for each level of the flow, of shapes {shapes}"
            )
        steps = [step.to(level) for level, step in zip(start, direction)]
        walk = [tuple(level + strength * step for level, step in zip(start, steps)) for strength in strengths]
        return decode_walk(flow, walk)
