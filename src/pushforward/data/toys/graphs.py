"""Generated graphs, and graphs as vectors and as matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.networks.graphs.pairs import count_pairs, pairs


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

    Raises:
        ShapeError: if they are not ``N + E`` numbers.

    Example:
        >>> as_matrices(torch.tensor([2, 0, 1, 7, 8, 9]), 3)[1]
        tensor([[0, 7, 8],
                [7, 0, 9],
                [8, 9, 0]])
    """
    length = nodes + count_pairs(nodes)
    if x.shape[-1:] != (length,):
        raise ShapeError(f"as_matrices expects graphs of {nodes} nodes, (..., {length}), got {tuple(x.shape)}")
    types, edges = x[..., :nodes], x[..., nodes:]
    first, second = pairs(nodes)
    matrices = x.new_zeros(*x.shape[:-1], nodes, nodes)
    matrices[..., first, second] = matrices[..., second, first] = edges
    return types, matrices


def as_vectors(types: Tensor, matrices: Tensor) -> Tensor:
    """Return graphs as vectors ``(..., N + E)``: the node types, then the upper triangles by rows; what is
    below them is not looked at.

    Raises:
        ShapeError: if the matrices are not ``N`` by ``N``.

    Example:
        >>> as_vectors(torch.tensor([2, 0]), torch.tensor([[0, 7], [7, 0]]))
        tensor([2, 0, 7])
    """
    nodes = types.shape[-1]
    if matrices.shape[-2:] != (nodes, nodes):
        raise ShapeError(f"as_vectors expects matrices of {nodes} x {nodes} edges, got {tuple(matrices.shape)}")
    first, second = pairs(nodes)
    return torch.cat([types, matrices[..., first, second]], -1)
