"""Contexts brought to location 0 and scale 1 before anything is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.numerics import robust_location_and_scale
from pushforward.parts import ModulePart


class Standardised(ModulePart):
    r"""Inputs less their location over their scale, and a network behind that, ``center + unit f((c - m) / s)``.

    :meth:`initialise`, which a flow whose embedding this is calls with its own, takes ``m`` and ``s`` from quantiles of
    the data, so that few wild values do not move them: one of each for every feature of a vector, for every channel of
    an image ``(channels, height, width)``, and for all numbers together of any other shape, such as a set's.

    Args:
        shape: of one input.
        network: the network ``f``; by default the identity.
        only: for every feature (or channel) whether it is standardised, by default all are; categories are not.
        center, unit: the scale that the networks behind expect.

    Raises:
        UsageError: if ``only`` does not say it for every feature.

    Example:
        >>> embedding = Standardised((1,))
        >>> embedding.initialise(170 + 10 * torch.randn(4000, 1))
        >>> bool(embedding(torch.tensor([[170.0]])).abs() < 1.0)
        True
    """

    location: Tensor
    scale: Tensor
    initialised: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        network: nn.Module | None = None,
        only: Sequence[bool] | None = None,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        self.event_dims = len(shape)
        own = shape[0] if len(shape) in (1, 3) else 1
        if only is not None and len(only) != own:
            raise UsageError(f"Standardised expects only= for {own} features, got {len(only)}")
        self.only = only
        self.network = network
        self.center, self.unit = center, unit
        sizes = (own, *[1] * (len(shape) - 1))
        self.register_buffer("location", torch.zeros(sizes))
        self.register_buffer("scale", torch.ones(sizes))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        standard = (x - self.location) / self.scale
        features = standard if self.network is None else self.network(standard)
        return self.center + self.unit * features

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set location and scale from one batch, once."""
        if not self.initialised:
            self._start(x)
        if hasattr(self.network, "initialise"):
            self.network.initialise((x - self.location) / self.scale)  # type: ignore[union-attr, operator]

    def _start(self, x: Tensor) -> None:
        rows = x.movedim(-self.event_dims, 0).reshape(self.location.shape[0], -1)
        location, scale = robust_location_and_scale(rows, "Standardised")
        if self.only is not None:
            chosen = torch.tensor(self.only, device=x.device)
            location = torch.where(chosen, location, torch.zeros_like(location))
            scale = torch.where(chosen, scale, torch.ones_like(scale))
        self.location.copy_(location.view_as(self.location))
        self.scale.copy_(scale.view_as(self.scale))
        self.initialised.fill_(True)
