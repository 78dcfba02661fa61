"""An autoregressive transform of categories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.networks.context import Context, for_network, vector_context
from pushforward.networks.masked.one_hot import OneHotMADE
from pushforward.scalar.modular import ModularAffine
from pushforward.spaces import OneHot
from pushforward.transforms.base import Bijection


class OneHotAutoregressive(Bijection):
    r"""An autoregressive flow of categories, ``z_d = (mu_d + sigma_d x_d) mod K`` with ``mu_d, sigma_d`` functions of
    ``x_<d``; ``log_det = 0`` (Tran et al. 2019, Discrete Flows, arXiv:1905.10347).

    ``forward`` is one pass of the network, ``inverse`` one pass for each variable. Events are one-hot, ``(D, K)``.

    Args:
        variables: the number of variables ``D``.
        operation: what happens to each variable.
        context: features of the context, 0 for none.
        hidden: widths of the masked network's hidden layers.

    Raises:
        ShapeError: if the input does not end in ``(D, K)``, or the context does not fit.

    Example:
        >>> layer = OneHotAutoregressive(3, ModularAffine(4))
        >>> layer(torch.eye(4)[None, [3, 0, 1]])[0].argmax(-1)
        tensor([[3, 0, 1]])
    """

    sequential = True

    def __init__(
        self, variables: int, operation: ModularAffine, context: Context = 0, *, hidden: Sequence[int] = (64, 64)
    ) -> None:
        super().__init__()
        self.operation = operation
        self.domain = self.codomain = OneHot(variables, operation.classes)
        self.context = vector_context(context, "OneHotAutoregressive")
        self.network = OneHotMADE(
            variables, operation.classes, operation.num_parameters, for_network(self.context), hidden=hidden
        )

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        # Detached: what stands in for the gradient of a choice is for the network that chooses, and misleads layers
        # before it.
        z, log_dz = self.operation.forward(x, self.network(x.detach(), context))
        return z, log_dz.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        x = torch.zeros_like(z)
        for variable in range(self.event_shape[0]):
            parameters = self.network(x.detach(), context)[..., variable, :]
            found, _ = self.operation.inverse(z[..., variable, :], parameters)
            x = torch.cat([x[..., :variable, :], found.unsqueeze(-2), x[..., variable + 1 :, :]], -2)
        return x, torch.zeros_like(z[..., 0, 0])
