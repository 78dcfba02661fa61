"""What the levels of a multi-scale flow hold."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.diagnostics.latents import latents
from pushforward.flows.flow import Flow


@torch.no_grad()
def resample_levels(flow: Flow, rows: int = 4, columns: int = 8) -> Tensor:
    """Return events ``(rows, columns, ...)`` that share the final latent in each row, the others drawn anew.

    What changes along a row is what the flow factored out before its last level (Dinh, Sohl-Dickstein, Bengio 2017,
    arXiv:1605.08803, figure 7).
    """
    *outer, final = latents(flow, flow.sample(rows))
    return flow.decode([*[None] * len(outer), final.repeat_interleave(columns, 0)]).unflatten(0, (rows, columns))
