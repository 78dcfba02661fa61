"""Where a transform's parameters come from when no dimension decides them: learned, or computed from a context."""

from __future__ import annotations

from collections.abc import Sequence

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


class PlaneParameters(nn.Module):
    r"""The same for images, whose context may say something else of each pixel: ``theta = offset + network(context)``
    of shape ``(P, H, W)``, and ``(P, 1, 1)`` without a context.

    Args:
        start: the offset to begin with, ``(P,)``.
        plane: the height and the width of the images.
        network: a factory of networks of images, called as ``network(0, P, context)``.
        context: the space of the context, a vector or an image; None for none.
        owner: whose parameters these are, for error messages.

    Example:
        >>> from pushforward.networks import GatedConvNet
        >>> from pushforward.spaces import Reals
        >>> parameters_of = PlaneParameters(torch.zeros(3), (4, 6), GatedConvNet, Reals((1, 8, 12)))
        >>> parameters_of(torch.ones(5, 1, 8, 12)).shape
        torch.Size([5, 3, 4, 6])
    """

    def __init__(
        self,
        start: Tensor,
        plane: Sequence[int],
        network: NetworkFactory | nn.Module,
        context: Space | None = None,
        owner: str = "",
    ) -> None:
        super().__init__()
        self.plane = tuple(plane)
        self.offset = nn.Parameter(start)
        self.network = make_network(network, 0, len(start), context, owner) if context is not None else None

    def forward(self, context: Tensor | None = None) -> Tensor:
        offset = self.offset[:, None, None]
        if self.network is None or context is None:
            return offset
        # No channel but the context's, which the network joins to it.
        return offset + self.network(context.new_zeros(0, *self.plane), context)


def small_normal(count: int) -> Tensor:
    """Draw a start near zero at which no gradient vanishes."""
    return 0.1 * torch.randn(count)
