"""Generated graphs, and graphs as vectors and as matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.networks.graphs.pairs import pairs


def coloured_graphs(count: int, nodes: int = 4, colours: int = 3, generator: torch.Generator | None = None) -> Tensor:
    """Graphs ``(count, N + E)`` whose nodes have even colours and whose edges join nodes of different colours, each
    with probability 1/2: a graph of ``d`` pairs of different colours has the probability ``colours^-N 2^-d``.

    Example:
        >>> coloured_graphs(5, nodes=3).shape
        torch.Size([5, 6])
    """
    types = torch.randint(colours, (count, nodes), generator=generator)
    first, second = pairs(nodes)
    coins = torch.randint(2, (count, len(first)), generator=generator)
    return torch.cat([types, coins * (types[:, first] != types[:, second])], 1)


def as_matrices(x: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Return the node types ``(..., N)`` and the symmetric matrices ``(..., N, N)`` of the edge types of graphs that
    are vectors ``(..., N + E)``.

    Example:
        >>> as_matrices(torch.tensor([2, 0, 1, 7, 8, 9]), 3)[1]
        tensor([[0, 7, 8],
                [7, 0, 9],
                [8, 9, 0]])
    """
    types, edges = x[..., :nodes], x[..., nodes:]
    first, second = pairs(nodes)
    matrices = x.new_zeros(*x.shape[:-1], nodes, nodes)
    matrices[..., first, second] = matrices[..., second, first] = edges
    return types, matrices


def as_vectors(types: Tensor, matrices: Tensor) -> Tensor:
    """Return graphs as vectors ``(..., N + E)``: the node types, then the upper triangles by rows.

    Example:
        >>> as_vectors(torch.tensor([2, 0]), torch.tensor([[0, 7], [7, 0]]))
        tensor([2, 0, 7])
    """
    first, second = pairs(types.shape[-1])
    return torch.cat([types, matrices[..., first, second]], -1)
