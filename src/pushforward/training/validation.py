"""The loss of held-out data."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from pushforward.flows.flow import Flow
from pushforward.training.batches import Batch
from pushforward.training.objectives import Objective


@torch.no_grad()
def summed_loss(
    flow: Flow, objective: Objective, batches: Iterable[Batch], device: torch.device, seed: int
) -> tuple[float, int]:
    """The loss of a flow in evaluation mode, summed over the rows of batches, and their number.

    The flow is in training mode afterwards. Its draws are the same every time and leave the global random state alone.
    """
    total, count = 0.0, 0
    flow.eval()
    # The last batch is smaller, which a compiled part would be compiled for once more.
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.compiler.set_stance("force_eager"):
        torch.manual_seed(seed)
        for x, context, rows in batches:
            loss = objective(flow, x.to(device), None if context is None else context.to(device))
            total, count = total + loss.item() * len(rows), count + len(rows)
    flow.train()
    return total, count
