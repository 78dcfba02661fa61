"""Standardisation: the data's own location and scale, taken out before anything is learned."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import robust_location_and_scale
from pushforward.spaces import ANY, Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.linear.normalisation import per_channel_log_det, rows_of


class Standardise(Bijection):
    r"""The data's own location and scale per feature or channel, ``z = (x - m) / s``, fixed from the data.

    :meth:`initialise` (which ``fit`` and ``flow.initialise`` call once, with a first batch) takes ``m`` and ``s`` from
    quantiles, the median and half of the distance between the quantiles that a normal has one standard deviation below
    and above, so that one wild row does not move them. They are no parameters: training leaves them as they are. Until
    then the layer is the identity. ``log_det = -H W sum_c log s_c``.

    Args:
        features: features of vectors, or channels of images.
        event_dims: 1 for vectors, 3 for images.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images; ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input has not as many features or channels.
        DataError: from :meth:`initialise`, of an empty batch.

    Source: Huber (1981), Robust Statistics, for location and scale by quantiles.

    Example:
        >>> layer = Standardise(1)
        >>> z = layer.initialise(170 + 10 * torch.randn(4000, 1))
        >>> bool((z.median().abs() < 0.01) & ((z.std() - 1).abs() < 0.1))
        True
    """

    location: Tensor
    scale: Tensor
    initialised: Tensor

    def __init__(self, features: int, event_dims: int = 1) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features, *[ANY] * (event_dims - 1)))
        shape = (features, *[1] * (event_dims - 1))
        self.register_buffer("location", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.encode(x, context), -per_channel_log_det(torch.log(self.scale), x, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.decode(z, context), per_channel_log_det(torch.log(self.scale), z, self.event_dims)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(x, context, self.domain)
        return (x - self.location) / self.scale

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return z * self.scale + self.location

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(x, context, self.domain)
        if not self.initialised:
            self._start(*robust_location_and_scale(rows_of(x, self.event_dims), "Standardise"))
        return super().initialise(x, context)

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        if not self.initialised:
            # Backwards the layer is x = s z + m, and it is x that is standardised.
            location, scale = robust_location_and_scale(rows_of(z, self.event_dims), "Standardise")
            self._start(-location / scale, 1 / scale)
        return super().initialise_inverse(z, context)

    @torch.no_grad()
    def _start(self, location: Tensor, scale: Tensor) -> None:
        self.location.copy_(location.view_as(self.location))
        self.scale.copy_(scale.view_as(self.scale))
        self.initialised.fill_(True)
