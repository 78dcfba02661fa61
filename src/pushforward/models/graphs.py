"""The recipe for graphs whose nodes and edges are of several types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch

from pushforward.distributions import StandardLogistic
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.registry import model
from pushforward.networks.graphs.edges import EdgeNetwork
from pushforward.networks.graphs.nodes import NodeNetwork
from pushforward.networks.graphs.pairs import count_pairs
from pushforward.scalar import MixtureCDF
from pushforward.transforms import ActNorm, Blocks, CategoricalEncoding, Coupling, Repeated, Transform

HEADS = 4
"""The attention heads of the network of the nodes."""


@model("graph-cnf", nodes=2, node_types=2, edge_types=2, dimensions=2)
def graph_cnf(
    nodes: int = 4,
    node_types: int = 3,
    edge_types: int = 2,
    dimensions: int = 2,
    layers: int = 4,
    hidden: int = 64,
) -> Flow:
    """Categorical normalizing flow of graphs: node types first, then the edges given them, whatever the nodes' order.

    An event is a vector of whole numbers: the types of the ``N`` nodes, then those of the ``N (N - 1) / 2`` edges by
    rows of the upper triangle (0 is no edge, by convention). Every type has a learned, random code; the nodes' codes
    are changed by couplings whose network is attention between nodes, the edges' by couplings whose network passes
    messages between edges and nodes. Nothing depends on the order of the nodes: a graph and the same graph with its
    nodes in another order have the same probability. No edge is a type like the others (in the paper it is known before
    the other types are drawn).

    Args:
        nodes: how many nodes a graph has; of smaller graphs, one type of node stands for none.
        node_types: how many types of nodes there are.
        edge_types: how many types of edges there are, no edge included.
        dimensions: the dimensions of each code, at least 2.
        layers: couplings of the nodes, and as many of the edges.
        hidden: the width of the networks, a multiple of 4.

    Raises:
        UsageError: if an option does not fit.

    Source: Lippe, Gavves (2021), arXiv:2006.09790.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.graph_cnf(nodes=3, node_types=3, edge_types=2, hidden=8)
        >>> x = torch.tensor([[0, 2, 1, 1, 0, 1]])
        >>> bool((flow.decode(flow.encode(x)) == x).all()), flow.accuracy.describe()
        (True, 'lower bound')
    """
    if hidden % HEADS:
        raise UsageError(f"graph-cnf expects hidden to be a multiple of {HEADS}, got hidden={hidden}")
    edges = count_pairs(nodes)
    of_nodes = partial(NodeNetwork, nodes=nodes, hidden=hidden, heads=HEADS)
    of_edges = partial(EdgeNetwork, nodes=nodes, seen=dimensions, hidden=hidden)
    encodings = CategoricalEncoding(nodes, node_types, dimensions), CategoricalEncoding(edges, edge_types, dimensions)
    parts: list[Transform] = [Blocks(*encodings)]
    all_kept = torch.ones(nodes * dimensions, dtype=torch.bool), torch.ones(edges * dimensions, dtype=torch.bool)
    for index in range(layers):
        kept = torch.arange(dimensions) % 2 == index % 2
        mask = torch.cat([all_kept[0], kept.repeat(edges)])
        parts += [_normalised(nodes, edges, dimensions), Coupling(mask, MixtureCDF(), of_edges)]
    for index in range(layers):
        kept = torch.arange(dimensions) % 2 == index % 2
        mask = torch.cat([kept.repeat(nodes), all_kept[1]])
        network = partial(of_nodes, seen=int(kept.sum()))
        parts += [_normalised(nodes, edges, dimensions), Coupling(mask, MixtureCDF(), network)]
    return Flow(parts, StandardLogistic(((nodes + edges) * dimensions,)))


def _normalised(nodes: int, edges: int, dimensions: int) -> Transform:
    """Scales and shifts of each dimension of a code, the same for all nodes and the same for all edges."""
    return Blocks(Repeated(ActNorm(dimensions), nodes), Repeated(ActNorm(dimensions), edges))


def nodes_of(shape: Sequence[int]) -> int | None:
    """Return how many nodes the graphs have that are vectors of this shape, ``N + N (N - 1) / 2``; None for none.

    Example:
        >>> nodes_of((10,)), nodes_of((11,))
        (4, None)
    """
    if len(shape) != 1 or shape[0] < 1:
        return None
    nodes = (math.isqrt(8 * shape[0] + 1) - 1) // 2
    return nodes if nodes + count_pairs(nodes) == shape[0] else None
