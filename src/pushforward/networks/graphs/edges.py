"""Messages between the edges and the nodes of a graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.graphs.pairs import count_pairs, pairs
from pushforward.parts import ModulePart


class EdgeNetwork(ModulePart):
    r"""Messages between edges and nodes, equivariant: a graph whose nodes are in another order gives the same outputs
    for its edges, in the order that they have there.

    .. math:: e_{ij} \leftarrow e_{ij} + f(e_{ij}, \, n_i + n_j, \, n_i n_j), \qquad
        n_i \leftarrow n_i + g(n_i, \, \tfrac{1}{N - 1} \textstyle\sum_j e_{ij})

    The numbers of the nodes come first in the input, then those of the edges, in the order of :func:`pairs`. The last
    layer starts at zero.

    Args:
        inputs: how many numbers come in, ``N a + E c``.
        outputs: how many go out, ``E b``, those of an edge together.
        context: 0; a graph has none here.
        nodes: how many nodes there are, ``N``; there are ``E = N (N - 1) / 2`` edges.
        seen: how many numbers of each node come in, ``a``.
        hidden: the width of each node and edge.
        blocks: how often messages pass.

    Raises:
        UsageError: if the sizes do not fit each other, or there is a context.

    Source: Lippe, Gavves (2021), Categorical normalizing flows via continuous transformations, arXiv:2006.09790.

    Example:
        >>> EdgeNetwork(3 * 2 + 3, 6, nodes=3, seen=2)(torch.ones(5, 9)).shape
        torch.Size([5, 6])
    """

    ends: Tensor
    incidence: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        *,
        nodes: int,
        seen: int,
        hidden: int = 64,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        edges, of_edges = count_pairs(nodes), inputs - nodes * seen
        if context or nodes < 2 or of_edges < edges or of_edges % edges or outputs % edges:
            raise UsageError(
                f"EdgeNetwork expects no context, 2 or more nodes, and inputs and outputs that share {edges} edges "
                f"evenly, got context={context}, nodes={nodes}, seen={seen}, inputs={inputs}, outputs={outputs}"
            )
        self.nodes, self.edges, self.seen = nodes, edges, seen
        self.first_of_nodes, self.first_of_edges = nn.Linear(seen, hidden), nn.Linear(of_edges // edges, hidden)
        self.to_edges = nn.ModuleList(_message(3 * hidden, hidden) for _ in range(blocks))
        self.to_nodes = nn.ModuleList(_message(2 * hidden, hidden) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden)
        self.last = nn.Linear(hidden, outputs // edges)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        ends = pairs(nodes)
        self.register_buffer("ends", ends, persistent=False)
        touches = (torch.arange(nodes)[:, None] == ends[:, None]).any(0)
        self.register_buffer("incidence", touches.to(torch.get_default_dtype()) / (nodes - 1), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        nodes, edges = x.split([self.nodes * self.seen, x.shape[-1] - self.nodes * self.seen], -1)
        n = self.first_of_nodes(nodes.unflatten(-1, (self.nodes, -1)))
        e = self.first_of_edges(edges.unflatten(-1, (self.edges, -1)))
        for to_edges, to_nodes in zip(self.to_edges, self.to_nodes):
            first, second = n.index_select(-2, self.ends[0]), n.index_select(-2, self.ends[1])
            e = e + to_edges(torch.cat([e, first + second, first * second], -1))
            n = n + to_nodes(torch.cat([n, self.incidence @ e], -1))
        return self.last(self.norm(e)).flatten(-2)


def _message(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, outputs))
