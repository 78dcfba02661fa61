"""The pairs of a graph's nodes, which its edges are numbered by."""

from __future__ import annotations

import torch
from torch import Tensor


def pairs(nodes: int) -> Tensor:
    """Return the two ends ``(2, E)`` of each of the ``E = N (N - 1) / 2`` edges of an undirected graph, by rows of the
    upper triangle.

    Example:
        >>> pairs(3).tolist()
        [[0, 0, 1], [1, 2, 2]]
    """
    return torch.triu_indices(nodes, nodes, 1)


def count_pairs(nodes: int) -> int:
    """How many edges an undirected graph can have.

    Example:
        >>> count_pairs(4)
        6
    """
    return nodes * (nodes - 1) // 2
