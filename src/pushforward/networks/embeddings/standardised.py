"""Contexts brought to location 0 and scale 1 before anything is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.numerics import robust_location_and_scale
from pushforward.parts import ModulePart


class Standardised(ModulePart):
    r"""Inputs less their location over their scale, ``(c - m) / s``, fixed from the data, and a network behind it.

    :meth:`initialise`, which a flow whose embedding this is calls with its own, takes ``m`` and ``s`` of each feature
    (or channel) from quantiles, so that few wild values do not move them.

    Args:
        shape: of one input: ``(features,)``, or ``(channels, height, width)``.
        network: what the standardised input goes to; by default it stays as it is.

    Example:
        >>> embedding = Standardised((1,))
        >>> embedding.initialise(170 + 10 * torch.randn(4000, 1))
        >>> bool(embedding(torch.tensor([[170.0]])).abs() < 1.0)
        True
    """

    location: Tensor
    scale: Tensor
    initialised: Tensor

    def __init__(self, shape: Sequence[int], network: nn.Module | None = None) -> None:
        super().__init__()
        self.event_dims = len(shape)
        ones = (shape[0], *[1] * (len(shape) - 1))
        self.network = network
        self.register_buffer("location", torch.zeros(ones))
        self.register_buffer("scale", torch.ones(ones))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        standard = (x - self.location) / self.scale
        return standard if self.network is None else self.network(standard)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set location and scale from one batch, once."""
        if self.initialised:
            return
        rows = x.movedim(-self.event_dims, 0).flatten(1)
        location, scale = robust_location_and_scale(rows, "Standardised")
        self.location.copy_(location.view_as(self.location))
        self.scale.copy_(scale.view_as(self.scale))
        self.initialised.fill_(True)
