"""Coupling: one part of the event decides how the other part changes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.networks.factory import NetworkFactory
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.base import Bijection, batch_shape, check_event, sum_event
from pushforward.transforms.coupling.split import partition


class Coupling(Bijection):
    r"""A coupling layer: ``z_a = x_a``, ``z_b = h(x_b; theta(x_a, context))``.

    The Jacobian is triangular, so ``log_det = sum log h'(x_b)``. The scalar bijection ``h`` makes it NICE
    (``Additive``), RealNVP (``Affine``), Flow++ (``MixtureCDF``), a spline flow or an integer flow. The event is
    really split wherever the mask allows it: nothing is computed for what does not change.

    Args:
        mask: boolean, of the event's shape ``(D,)`` or ``(C, H, W)``; ``True`` where the event is kept.
        scalar: the scalar bijection of the changed part.
        network: a network factory, called as ``network(inputs, outputs, context)`` in features or channels.
        context: features of the context, 0 for none.

    Raises:
        UsageError: if the mask is not a usable mask.
        ShapeError: if the input does not end in the mask's shape, or the context is missing or misshapen.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516; Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803.

    Example:
        >>> from pushforward.networks import MLP
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import masks
        >>> layer = Coupling(masks.halves(4), Affine(), MLP)
        >>> z, log_det = layer(torch.randn(8, 4))
        >>> z.shape, log_det.shape
        (torch.Size([8, 4]), torch.Size([8]))
    """

    def __init__(self, mask: Tensor, scalar: ScalarBijection, network: NetworkFactory, context: int = 0) -> None:
        super().__init__()
        self.event_shape = mask.shape
        self.event_dims = mask.dim()
        self.scalar = scalar
        self.tolerance = scalar.tolerance
        self.light = scalar.light and mask.dim() == 1
        self.partition = partition(mask)
        self.emitted = scalar.num_parameters - scalar.num_shared
        self.network = network(self.partition.inputs, self.emitted * self.partition.outputs, context)
        # One value for each channel (or feature): what a structure learns instead of the network.
        self.shared = nn.Parameter(torch.zeros(scalar.num_shared, mask.shape[0])) if scalar.num_shared else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(x, self.event_shape, "Coupling")
        changed, log_dz = self.scalar.forward(self.partition.changed(x), self._scalar_parameters(x, context))
        return self.partition.merge(x, changed), self._log_det(log_dz, x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(z, self.event_shape, "Coupling")
        changed, log_dx = self.scalar.inverse(self.partition.changed(z), self._scalar_parameters(z, context))
        return self.partition.merge(z, changed), self._log_det(log_dx, z)

    def _scalar_parameters(self, x: Tensor, context: Tensor | None) -> Tensor:
        outputs = self.network(self.partition.condition(x), context)
        emitted = self.partition.parameters_of(outputs, self.emitted)
        if self.shared is None:
            return emitted
        return torch.cat([emitted, self._shared_parameters().expand(*emitted.shape[:-1], -1)], dim=-1)

    def _shared_parameters(self) -> Tensor:
        """Spread the learned values over the event and take those of the changed elements."""
        assert self.shared is not None
        spread = self.shared.unflatten(-1, (-1, *[1] * (self.event_dims - 1))).expand(-1, *self.event_shape)
        return self.partition.changed(spread).movedim(0, -1)

    def _log_det(self, log_d: Tensor, x: Tensor) -> Tensor:
        return sum_event(log_d, log_d.dim() - len(batch_shape(x, self.event_dims)))
