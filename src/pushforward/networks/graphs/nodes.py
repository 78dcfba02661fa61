"""Attention between the nodes of a graph."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.parts import ModulePart


class NodeNetwork(ModulePart):
    r"""Self-attention between nodes, equivariant: nodes in another order give the same outputs in that order.

    The nodes' numbers come first in the input; what is behind them (a graph's edges) is not looked at. The last layer
    starts at zero.

    Args:
        inputs: how many numbers come in, at least ``N a``.
        outputs: how many go out, ``N b``, those of a node together.
        context: 0; a graph has none here.
        nodes: how many nodes there are, ``N``.
        seen: how many numbers of each node come in, ``a``.
        hidden: the width of each node, a multiple of ``heads``.
        blocks: blocks of attention and a network of each node.
        heads: attention heads.

    Shapes: ``x`` is ``(..., N a)`` and what is behind, the result ``(..., N b)``.

    Raises:
        UsageError: if the sizes do not fit each other, or there is a context.

    Source: Lippe, Gavves (2021), Categorical normalizing flows via continuous transformations, arXiv:2006.09790.

    Example:
        >>> import torch
        >>> NodeNetwork(6, 9, nodes=3, seen=2)(torch.ones(5, 6)).shape
        torch.Size([5, 9])
    """

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
        heads: int = 4,
    ) -> None:
        super().__init__()
        if context or inputs < nodes * seen or outputs % nodes or hidden % heads:
            raise UsageError(
                f"NodeNetwork expects no context, at least nodes x seen inputs, outputs that are a multiple of nodes "
                f"and hidden of heads, got context={context}, inputs={inputs}, outputs={outputs}, nodes={nodes}, "
                f"seen={seen}, hidden={hidden}, heads={heads}"
            )
        self.nodes, self.seen = nodes, seen
        self.first = nn.Linear(seen, hidden)
        self.blocks = nn.ModuleList(AttentionBlock(hidden, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden)
        self.last = nn.Linear(hidden, outputs // nodes)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.first(x[..., : self.nodes * self.seen].unflatten(-1, (self.nodes, self.seen)))
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h)).flatten(-2)


class AttentionBlock(nn.Module):
    """Attention of each node to all, and a network of each node, both added to what came in."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_network = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.queries_keys_values = nn.Linear(hidden, 3 * hidden)
        self.mixed = nn.Linear(hidden, hidden)
        self.network = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))

    def forward(self, h: Tensor) -> Tensor:
        """Return ``(..., N, hidden)`` of the same shape."""
        split = self.queries_keys_values(self.before_attention(h)).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.movedim(-3, 0).transpose(-2, -3).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(-2, -3).flatten(-2)
        h = h + self.mixed(attended)
        return h + self.network(self.before_network(h))
