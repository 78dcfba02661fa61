"""Walking between events through the latents of a flow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.flows.flow import Flow


@torch.no_grad()
def interpolate(flow: Flow, first: Tensor, second: Tensor, steps: int = 8) -> Tensor:
    """Return ``steps`` events from each of ``first`` to each of ``second``, straight through *all* latents.

    Args:
        flow: whose latents, those of every level, are interpolated.
        first, second: batches of events ``(N, ...)``.
        steps: how many events a walk has, both ends included.

    Returns:
        events ``(N, steps, ...)``.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> interpolate(flow, torch.zeros(1, 2), torch.ones(1, 2), steps=3)[0, :, 0].tolist()
        [0.0, 0.5, 1.0]
    """
    weights = torch.linspace(0, 1, steps).tolist()
    between = [
        torch.stack([torch.lerp(start, end, weight) for weight in weights], 1).flatten(0, 1)
        for start, end in zip(latents(flow, first), latents(flow, second))
    ]
    return flow.decode(between if len(between) > 1 else between[0]).unflatten(0, (len(first), steps))


def latents(flow: Flow, x: Tensor) -> tuple[Tensor, ...]:
    """Return the latents of events, those of every level in a tuple."""
    encoded: Tensor | Sequence[Tensor] = flow.encode(x)
    return (encoded,) if isinstance(encoded, Tensor) else tuple(encoded)
