"""Elementwise structures: every dimension is mapped by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.networks.factory import NetworkFactory
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.base import Bijection, check_event


class Elementwise(Bijection):
    r"""A scalar bijection applied to each dimension with learned parameters of its own.

    ``z_d = h(x_d; theta_d)`` and ``log_det = sum_d log h'(x_d; theta_d)``. The parameters start at zero, near the
    identity.

    Args:
        scalar: the scalar bijection.
        event_shape: the shape of one event, ``(D,)`` or ``(C, H, W)``.

    Raises:
        ShapeError: if the input does not end in ``event_shape``.

    Example:
        >>> from pushforward.scalar import Affine
        >>> z, log_det = Elementwise(Affine(), (3,))(torch.ones(2, 3))
        >>> log_det
        tensor([0., 0.], grad_fn=<SumBackward1>)
    """

    def __init__(self, scalar: ScalarBijection, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.scalar = scalar
        self.event_shape = torch.Size(event_shape)
        self.event_dims = len(self.event_shape)
        self.tolerance = scalar.tolerance
        self.light = scalar.light
        self.parameters_per_element = nn.Parameter(torch.zeros(*self.event_shape, scalar.num_parameters))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_dz = self.scalar.forward(x, self._expanded(x))
        return z, self._flatten_event(log_dz)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_dx = self.scalar.inverse(z, self._expanded(z))
        return x, self._flatten_event(log_dx)

    def _expanded(self, x: Tensor) -> Tensor:
        check_event(x, self.event_shape, "Elementwise")
        return self.parameters_per_element.expand(*x.shape, -1)


class ConditionalElementwise(Bijection):
    r"""A scalar bijection applied to each dimension of a vector with parameters computed from the context.

    ``z_d = h(x_d; theta_d(context))``: the dimensions do not see each other, all of them see the context.

    Args:
        scalar: the scalar bijection.
        features: the number of dimensions ``D`` of ``x``.
        network: a network factory, called as ``network(context, D * scalar.num_parameters, 0)``.
        context: the number of features of the context.

    Raises:
        ShapeError: if the input or the context does not fit, or the context is missing.

    Example:
        >>> from pushforward.networks import MLP
        >>> from pushforward.scalar import Affine
        >>> layer = ConditionalElementwise(Affine(), 3, MLP, context=2)
        >>> layer(torch.ones(5, 3), torch.ones(5, 2))[1].shape
        torch.Size([5])
    """

    def __init__(self, scalar: ScalarBijection, features: int, network: NetworkFactory, context: int) -> None:
        super().__init__()
        self.scalar = scalar
        self.tolerance = scalar.tolerance
        self.light = scalar.light
        self.event_shape = torch.Size([features])
        # The network sees nothing but the context, so a missing one is caught by the network's own check.
        self.network = network(0, features * scalar.num_parameters, context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_dz = self.scalar.forward(x, self._scalar_parameters(x, context))
        return z, log_dz.sum(-1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_dx = self.scalar.inverse(z, self._scalar_parameters(z, context))
        return x, log_dx.sum(-1)

    def _scalar_parameters(self, x: Tensor, context: Tensor | None) -> Tensor:
        check_event(x, self.event_shape, "ConditionalElementwise")
        return self.network(x[..., :0], context).unflatten(-1, (-1, self.scalar.num_parameters))
