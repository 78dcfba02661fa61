"""Where a transform's parameters come from when no dimension decides them: learned, or computed from a context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.networks.context import check_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP


class GlobalParameters(nn.Module):
    r"""A vector of parameters, ``theta = offset + network(context)``, the same for every dimension of an event.

    The offset starts as given, so that a network whose last layer starts at zero does not leave the transform at a
    symmetric point where its gradients vanish. Without a context there is no network.

    Args:
        start: the offset to begin with, ``(P,)``.
        network: a network factory, called as ``network(context, P, 0)``.
        context: features of the context, 0 for none.
        owner: whose parameters these are, for error messages.

    Example:
        >>> GlobalParameters(torch.zeros(3))().shape
        torch.Size([3])
        >>> GlobalParameters(torch.zeros(3), context=2)(torch.ones(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self, start: Tensor, network: NetworkFactory = MLP, context: int = 0, owner: str = "The transform"
    ) -> None:
        super().__init__()
        self.context, self.owner = context, owner
        self.offset = nn.Parameter(start)
        self.network = network(context, len(start), 0) if context else None

    def forward(self, context: Tensor | None = None) -> Tensor:
        check_context(context, self.context, -1, self.owner)
        if self.network is None or context is None:
            return self.offset
        return self.offset + self.network(context)


def small_normal(count: int) -> Tensor:
    """Draw a start near zero at which no gradient vanishes."""
    return 0.1 * torch.randn(count)
