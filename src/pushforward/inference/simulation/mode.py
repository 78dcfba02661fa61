"""The most probable parameters of a posterior."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.inference.simulation.unbounded import Unbounded


def highest(
    log_prob: Callable[[Tensor], Tensor], samples: Tensor, unbounded: Unbounded, starts: int = 8, steps: int = 150
) -> Tensor:
    """Return the parameters of the highest density, ``batch_shape + (D,)``, by gradients from the best of the samples.

    The gradients are taken in the unbounded coordinates, so that no step leaves the support; the density is that of the
    parameters themselves.

    Args:
        log_prob: the density of parameters, ``(n,) + batch_shape + (D,)``.
        samples: of the posterior, ``(n,) + batch_shape + (D,)``.
        unbounded: from the parameters onto the reals.
        starts: how many of the samples to begin with.
        steps: of Adam, whose rate falls to zero.
    """
    with torch.no_grad():
        best = log_prob(samples).topk(min(starts, len(samples)), 0).indices[..., None]
        all_latents = unbounded.encode(samples)
        origin = all_latents.gather(0, best.expand(*best.shape[:-1], samples.shape[-1]))
        scale = all_latents.std(0).clamp_min(1e-6)
    moved = torch.zeros_like(origin, requires_grad=True)
    optimiser = torch.optim.Adam([moved], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        loss = -log_prob(unbounded.decode(origin + scale * moved)).sum()
        (moved.grad,) = torch.autograd.grad(loss, moved)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        ends = torch.cat([unbounded.decode(origin + scale * moved), unbounded.decode(origin)])
        top = log_prob(ends).argmax(0)[None, ..., None]
        return ends.gather(0, top.expand(1, *ends.shape[1:]))[0]
