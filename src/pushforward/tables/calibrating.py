"""The spread of a trained flow's latents on rows that it was not trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.flows import Flow
from pushforward.tables.columns import Array
from pushforward.transforms import Standardise

WORTH = 100.0
"""How many rows the belief is worth that the spread is 1."""


@torch.no_grad()
def calibrated(flow: Flow, events: Tensor, context: Tensor | None, counts: Array) -> Flow:
    r"""Return the flow with each latent divided by its spread on held-out rows.

    A flow that knows its training rows too well spreads the latents of others wider than the base distribution: its
    intervals are too narrow. ``s^2 = (sum_i c_i z_i^2 + m) / (sum_i c_i + m)``, the spread of highest likelihood for
    rows that count ``c_i`` times, drawn towards 1 by ``m`` = 100 rows, as those that are held out may be few.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Standardise(1)], pf.distributions.StandardNormal((1,)))
        >>> events = 2 * torch.randn(10_000, 1)
        >>> bool((calibrated(flow, events, None, np.ones(10_000)).encode(events).std() - 1.0).abs() < 0.02)
        True
    """
    latents = flow.encode(events, None if context is None else context.to(events.dtype))
    assert isinstance(latents, Tensor)
    last = Standardise(latents.shape[-1])
    squares = torch.as_tensor(counts) @ latents.double().square()
    last.scale.copy_(((squares + WORTH) / (counts.sum() + WORTH)).sqrt())
    last.initialised.fill_(True)
    return Flow([flow.transform, last], flow.base, context=flow.context or 0, embedding=flow.embedding)
