"""Networks of inputs that may lie anywhere on the line."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.mlp import MLP
from pushforward.parts import ModulePart
from pushforward.spaces import as_context


class Squashed(ModulePart):
    r"""A network that sees ``tanh(x / 2)`` of its inputs, and the context as it is.

    So it has a limit where an input runs to an end of the line, and it comes near it as fast as ``exp(-|x|)``. Behind a
    map that sends an edge inside the data to the end of the line, as :class:`pushforward.transforms.Piecewise` does, it
    is by this that parameters are smooth at the edge: those of a network of ``x`` itself change with the logarithm of
    the distance from it.

    Args:
        inputs, outputs, context: as for the network within.
        network: the factory of the network within.

    Example:
        >>> network = Squashed(2, 3)
        >>> bool((network(torch.tensor([1e3, 0.0])) == network(torch.tensor([1e6, 0.0]))).all())
        True
    """

    def __init__(self, inputs: int, outputs: int, context: Context = 0, *, network: NetworkFactory = MLP) -> None:
        super().__init__()
        self.network = make_network(network, inputs, outputs, as_context(context), "Squashed")

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        outputs: Tensor = self.network(torch.tanh(0.5 * x), context)
        return outputs
