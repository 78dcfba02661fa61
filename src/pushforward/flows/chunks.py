"""Many events a part at a time, in bounded memory, where no gradient is wanted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.kernels.recording import is_traced

ELEMENTS = 2**17
"""How many numbers of events are worked on together: what a flow computes of each is a few hundred times as much."""


def in_chunks(
    function: Callable[[Tensor, Tensor | None], Tensor],
    x: Tensor,
    event_dims: int,
    context: Tensor | None,
    context_dims: int,
) -> Tensor:
    """Return ``function(x, context)``, of events (and contexts that broadcast with their batch), in parts.

    Example:
        >>> x = torch.zeros(100_000, 8)
        >>> with torch.no_grad():
        ...     in_chunks(lambda x, _: torch.tensor(float(len(x))).expand(len(x)), x, 1, None, 0)[0].item()
        16384.0
    """
    batch, event = x.shape[: x.dim() - event_dims], x.shape[x.dim() - event_dims :]
    if torch.is_grad_enabled() or is_traced():
        return function(x, context)
    rows, most = batch.numel(), max(1, ELEMENTS // max(1, event.numel()))
    if rows <= most:
        return function(x, context)
    parts = x.reshape(rows, *event).split(most)
    given: list[Tensor | None] = [None] * len(parts)
    if context is not None:
        own = context.shape[context.dim() - context_dims :]
        given = list(context.expand(*batch, *own).reshape(rows, *own).split(most))
    results = torch.cat([function(part, each) for part, each in zip(parts, given, strict=True)])
    return results.reshape(*batch, *results.shape[1:])
