"""Where a transform's parameters come from when no dimension decides them: learned, or computed from a context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.networks.context import for_network
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.mlp import MLP
from pushforward.spaces import Space


class GlobalParameters(nn.Module):
    r"""A vector of parameters, ``theta = offset + network(context)``, the same for every dimension of an event.

    The offset starts as given, so that a network whose last layer starts at zero does not leave the transform at a
    symmetric point where its gradients vanish. Without a context there is no network.

    Args:
        start: the offset to begin with, ``(P,)``.
        network: a network factory, called as ``network(context, P, 0)``.
        context: the space of the context, None for none.
        owner: whose parameters these are, for error messages.

    Example:
        >>> from pushforward.spaces import Reals
        >>> GlobalParameters(torch.zeros(3))().shape
        torch.Size([3])
        >>> GlobalParameters(torch.zeros(3), context=Reals((2,)))(torch.ones(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self, start: Tensor, network: NetworkFactory | nn.Module = MLP, context: Space | None = None, owner: str = ""
    ) -> None:
        super().__init__()
        self.offset = nn.Parameter(start)
        inputs = for_network(context)
        self.network = (
            make_network(network, inputs, len(start), None, owner) if isinstance(inputs, int) and inputs else None
        )

    def forward(self, context: Tensor | None = None) -> Tensor:
        if self.network is None or context is None:
            return self.offset
        return self.offset + self.network(context)


def small_normal(count: int) -> Tensor:
    """Draw a start near zero at which no gradient vanishes."""
    return 0.1 * torch.randn(count)
