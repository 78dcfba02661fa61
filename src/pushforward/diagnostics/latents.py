"""The latents of a flow, those of every level in a tuple, and events on a way through them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import ShapeError, UsageError
from pushforward.flows.flow import Flow
from pushforward.spaces import Space

Latents = tuple[Tensor, ...]


def latents(flow: Flow, x: Tensor) -> Latents:
    """Return the latents of events, those of every level in a tuple."""
    encoded: Tensor | Sequence[Tensor] = flow.encode(x)
    return (encoded,) if isinstance(encoded, Tensor) else tuple(encoded)


def latent_space(flow: Flow) -> Space:
    """Return the space of the latents: the support of the base that is no flow."""
    base = flow.base
    while isinstance(base, Flow):
        base = base.base
    return base.support


def check_walk(flow: Flow, x: Tensor, owner: str) -> None:
    """Check that there is a way through the latents of events.

    Raises:
        UsageError: if the flow takes a context, or its latents are whole numbers, between which nothing lies.
        ShapeError: if the events are not ``(N, ...)``.
    """
    if flow.context is not None:
        raise UsageError(f"{owner} expects a flow without a context, and this one takes one")
    space = latent_space(flow)
    if space.discrete:
        raise UsageError(f"{owner} expects latents that are real numbers, and those of this flow are of {space}")
    if x.shape[1:] != flow.event_shape or not x.dim():
        raise ShapeError(f"{owner} expects events (N, {str(tuple(flow.event_shape))[1:]}, got {tuple(x.shape)}")


def decode_walk(flow: Flow, walk: Sequence[Latents]) -> Tensor:
    """Return the events ``(N, steps, ...)`` of the latents of ``N`` events at each step of a walk.

    Raises:
        UsageError: if the walk leaves the space of the latents, such as a straight one on a sphere.
    """
    levels = [torch.stack(level, 1) for level in zip(*walk)]
    space = latent_space(flow)
    if len(levels) == 1 and not bool(space.contains(levels[0]).all()):
        raise UsageError(f"the way leaves the latents of this flow, which are points of {space}")
    return flow.decode(levels if len(levels) > 1 else levels[0])


def scaled(factors: Tensor, level: Tensor) -> Tensor:
    """Return a level's latents, each multiplied by the factor of its event: ``(N,)`` times ``(N, ...)``."""
    return factors.reshape(-1, *[1] * (level.dim() - 1)) * level
