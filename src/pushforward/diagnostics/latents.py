"""The latents of a flow, those of every level in a tuple."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow

Latents = tuple[Tensor, ...]


def latents(flow: Flow, x: Tensor) -> Latents:
    """Return the latents of events, those of every level in a tuple.

    Raises:
        UsageError: if the flow takes a context.
    """
    if flow.context is not None:
        raise UsageError("walks between latents expect a flow without a context, and this one takes one")
    encoded: Tensor | Sequence[Tensor] = flow.encode(x)
    return (encoded,) if isinstance(encoded, Tensor) else tuple(encoded)


def decode_walk(flow: Flow, walk: Sequence[Latents]) -> Tensor:
    """Return the events ``(N, steps, ...)`` of the latents of ``N`` events at each step of a walk.

    Raises:
        UsageError: if the latents are integers as the events are, between which there is nothing.
    """
    levels = [torch.stack(level, 1) for level in zip(*walk)]
    events = flow.decode(levels if len(levels) > 1 else levels[0])
    if flow.support.discrete and not bool(flow.support.contains(events).all()):
        raise UsageError(
            "a walk through the latents expects a flow whose latents are real numbers, got one whose latents are "
            "integers: train a flow with dequantization, such as multiscale or autoregressive-image-flow"
        )
    return events


def scaled(factors: Tensor, level: Tensor) -> Tensor:
    """Return a level's latents, each multiplied by the factor of its event: ``(N,)`` times ``(N, ...)``."""
    return factors.reshape(-1, *[1] * (level.dim() - 1)) * level
