"""Networks of inputs that may lie anywhere on the line."""

from __future__ import annotations

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.mlp import MLP
from pushforward.parts import ModulePart
from pushforward.spaces import as_context


class Clipped(ModulePart):
    r"""A network that sees its inputs clipped, ``min(max(x, -B), B)``, and the context as it is.

    So its outputs are the same all the way from ``B`` to the end of the line. Behind a map that sends an edge inside
    the data to the end of the line, as :class:`pushforward.transforms.Piecewise` does, it is by this that they have a
    limit at the edge: those of a network of ``x`` itself go on changing with the logarithm of the distance from it.

    Args:
        inputs, outputs, context: as for the network within.
        network: the factory of the network within.
        bound: the farthest number that is told from those beyond, ``B``.

    Shapes: ``x`` is ``(..., inputs)``, the result ``(..., outputs)``.

    Raises:
        UsageError: if the bound is not positive.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), A RAD approach to deep mixture models, arXiv:1903.07714,
    for the limit at the edge; that clipping gives it is ours.

    Example:
        >>> import torch
        >>> network = Clipped(2, 3, bound=6.0)
        >>> bool((network(torch.tensor([7.0, 0.0])) == network(torch.tensor([1e6, 0.0]))).all())
        True
    """

    def __init__(
        self, inputs: int, outputs: int, context: Context = 0, *, network: NetworkFactory = MLP, bound: float = 6.0
    ) -> None:
        super().__init__()
        if not bound > 0:
            raise UsageError(f"Clipped expects a positive bound, got {bound}")
        self.network = make_network(network, inputs, outputs, as_context(context), "Clipped")
        self.bound = bound

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        outputs: Tensor = self.network(x.clamp(-self.bound, self.bound), context)
        return outputs
