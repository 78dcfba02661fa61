"""Elementwise structures: every dimension is mapped by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory, check_outputs, make_network
from pushforward.numerics import sum_event
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.base import Bijection
from pushforward.transforms.conditioning import check_scalar, warn_of_reach


class Elementwise(Bijection):
    r"""A scalar bijection applied to each dimension with learned parameters of its own.

    ``z_d = h(x_d; theta_d)`` and ``log_det = sum_d log h'(x_d; theta_d)``. The parameters start at zero, near the
    identity.

    Args:
        scalar: the scalar bijection.
        event_shape: the shape of one event, ``(D,)`` or ``(C, H, W)``.

    Raises:
        ShapeError: if the input does not end in ``event_shape``.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), arXiv:1912.02762: a diagonal Jacobian.

    Example:
        >>> from pushforward.scalar import Affine
        >>> z, log_det = Elementwise(Affine(), (3,))(torch.ones(2, 3))
        >>> log_det
        tensor([0., 0.], grad_fn=<SumBackward1>)
    """

    def __init__(self, scalar: ScalarBijection, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.scalar = check_scalar(scalar, "Elementwise")
        self.domain = scalar.domain.with_shape(event_shape)
        self.codomain = scalar.codomain.with_shape(event_shape)
        self.tolerance = scalar.tolerance
        self.parameters_per_element = nn.Parameter(torch.zeros(*self.event_shape, scalar.num_parameters))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, log_dz = self.scalar.forward(x, self._expanded(x, context))
        return z, sum_event(log_dz, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, log_dx = self.scalar.inverse(z, self._expanded(z, context))
        return x, sum_event(log_dx, self.event_dims)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.scalar.encode(x, self._expanded(x, context))

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.scalar.decode(z, self._expanded(z, context))

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        warn_of_reach(self.scalar, x, "Elementwise")
        return super().initialise(x, context)

    def _expanded(self, x: Tensor, context: Tensor | None) -> Tensor:
        self.check(x, context, self.domain)
        return self.parameters_per_element.expand(*x.shape, -1)


class ConditionalElementwise(Bijection):
    r"""A scalar bijection applied to each dimension of a vector with parameters computed from the context.

    ``z_d = h(x_d; theta_d(context))``: the dimensions do not see each other, all of them see the context.

    Args:
        scalar: the scalar bijection.
        features: the number of dimensions ``D`` of ``x``.
        network: a network factory, called as ``network(0, D * P, context)``, or a ready-made module.
        context: a number of features or a space of vectors.

    Raises:
        ShapeError: if the input or the context does not fit, or the context is missing.

    Source: Winkler, Worrall, Hoogeboom, Welling (2019), Learning Likelihoods with Conditional Normalizing Flows,
    arXiv:1912.00042.

    Example:
        >>> from pushforward.networks import MLP
        >>> from pushforward.scalar import Affine
        >>> layer = ConditionalElementwise(Affine(), 3, MLP, context=2)
        >>> layer(torch.ones(5, 3), torch.ones(5, 2))[1].shape
        torch.Size([5])
    """

    def __init__(
        self, scalar: ScalarBijection, features: int, network: NetworkFactory | nn.Module, context: Context
    ) -> None:
        super().__init__()
        self.scalar = check_scalar(scalar, "ConditionalElementwise")
        self.domain, self.codomain = scalar.domain.with_shape((features,)), scalar.codomain.with_shape((features,))
        self.context = vector_context(context, "ConditionalElementwise")
        if self.context is None:
            raise UsageError("ConditionalElementwise expects a context, got none: use Elementwise")
        self.tolerance = scalar.tolerance
        # The network sees nothing but the context.
        outputs = features * scalar.num_parameters
        self.network = make_network(network, 0, outputs, self.context, "ConditionalElementwise")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, parameters = self._with_parameters(x, context)
        z, log_dz = self.scalar.forward(x, parameters)
        return z, log_dz.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, parameters = self._with_parameters(z, context)
        x, log_dx = self.scalar.inverse(z, parameters)
        return x, log_dx.sum(-1)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.scalar.encode(*self._with_parameters(x, context))

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.scalar.decode(*self._with_parameters(z, context))

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        warn_of_reach(self.scalar, x, "ConditionalElementwise")
        return super().initialise(x, context)

    def _with_parameters(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        outputs = self.network(x[..., :0], context)
        check_outputs(outputs, -1, x.shape[-1] * self.scalar.num_parameters, "ConditionalElementwise")
        return x, outputs.unflatten(-1, (-1, self.scalar.num_parameters))
