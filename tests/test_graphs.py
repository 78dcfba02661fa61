"""Categorical flows of graphs: the order of the nodes does not matter, and graphs come back as they are."""

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.data.toys import as_matrices, as_vectors, coloured_graphs
from pushforward.networks import EdgeNetwork, NodeNetwork

NODES = 4
EDGES = NODES * (NODES - 1) // 2


def reordered(x: Tensor, order: Tensor) -> Tensor:
    types, matrices = as_matrices(x, NODES)
    return as_vectors(types[..., order], matrices[..., order, :][..., order])


def reordered_codes(z: Tensor, order: Tensor, dimensions: int) -> Tensor:
    """Codes of each node and edge in the order that the nodes then have."""
    nodes, edges = z.split([NODES * dimensions, EDGES * dimensions], -1)
    nodes, edges = nodes.unflatten(-1, (NODES, -1)), edges.unflatten(-1, (EDGES, -1))
    moved = [
        reordered(torch.cat([nodes[..., k], edges[..., k]], -1), order).split([NODES, EDGES], -1)
        for k in range(dimensions)
    ]
    return torch.cat([torch.stack([each[part] for each in moved], -1).flatten(-2) for part in (0, 1)], -1)


def small(**options: int) -> pf.Flow:
    torch.manual_seed(0)
    flow = pf.models.graph_cnf(nodes=NODES, node_types=3, edge_types=2, layers=2, hidden=8, **options)
    return pf.testing.randomise(flow, 0.3, torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def order() -> Tensor:
    return torch.tensor([2, 0, 3, 1])


def test_graphs_are_vectors_and_matrices(order: Tensor) -> None:
    x = coloured_graphs(20, NODES, generator=torch.Generator().manual_seed(0))
    types, matrices = as_matrices(x, NODES)
    assert matrices.equal(matrices.mT) and as_vectors(types, matrices).equal(x)
    assert reordered(reordered(x, order), order.argsort()).equal(x)
    # No edge joins nodes of one colour.
    assert not (matrices.bool() & (types[..., None] == types[..., None, :])).any()


def test_the_networks_follow_the_order_of_the_nodes(order: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(5, (NODES + EDGES) * 2, dtype=torch.float64, generator=generator)
    for_nodes = NodeNetwork(NODES * 2 + EDGES * 2, NODES * 2, nodes=NODES, seen=2, hidden=8)
    for_edges = EdgeNetwork(NODES * 2 + EDGES * 2, EDGES * 2, nodes=NODES, seen=2, hidden=8)
    both = [pf.testing.randomise(network.double(), 0.5, generator) for network in (for_nodes, for_edges)]

    def outputs(given: Tensor) -> Tensor:
        return torch.cat([network(given) for network in both], -1)

    torch.testing.assert_close(outputs(reordered_codes(z, order, 2)), reordered_codes(outputs(z), order, 2))
    assert not torch.allclose(outputs(z), reordered_codes(outputs(z), order, 2))


def test_the_density_of_the_codes_does_not_depend_on_the_order(order: Tensor) -> None:
    """Behind the encoding, which draws: what is left is exact, and so is the law."""
    flow = small().double()
    codes = pf.Flow(list(flow.transform)[1:], flow.base)  # type: ignore[call-overload]
    z = torch.randn(6, (NODES + EDGES) * 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(codes.log_prob(reordered_codes(z, order, 2)), codes.log_prob(z))
    latent = codes.encode(z)
    torch.testing.assert_close(codes.encode(reordered_codes(z, order, 2)), reordered_codes(latent, order, 2))


def test_the_bound_of_a_graph_does_not_depend_on_the_order_of_its_nodes(order: Tensor) -> None:
    flow = small()
    x = coloured_graphs(3, NODES, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(2)
    with torch.no_grad():
        first, error = flow.log_prob_with_error(x, draws=300)
        second, other = flow.log_prob_with_error(reordered(x, order), draws=300)
    assert ((first - second).abs() < 4.5 * (error.square() + other.square()).sqrt()).all()


def test_graphs_come_back_and_samples_are_graphs() -> None:
    flow = small()
    x = coloured_graphs(50, NODES, generator=torch.Generator().manual_seed(0))
    assert (flow.decode(flow.encode(x)) == x).all()
    assert flow.support.contains(flow.sample(20)).all()
    assert flow.log_prob(torch.tensor([[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]])).item() == -math.inf


def test_a_trained_flow_nears_the_truth() -> None:
    """Colours even, and each possible edge a coin: the entropy is known."""
    generator = torch.Generator().manual_seed(0)
    train, test = (coloured_graphs(count, 3, 2, generator) for count in (4000, 1000))
    torch.manual_seed(0)
    flow = pf.models.graph_cnf(nodes=3, node_types=2, edge_types=2, layers=2, hidden=16)
    flow.initialise(train[:256])
    optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
    for _ in range(150):
        loss = -flow.log_prob(train[torch.randint(len(train), (128,), generator=generator)]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    different = (test[:, [0, 0, 1]] != test[:, [1, 2, 2]]).sum(1).double().mean().item()
    truth = 3 * math.log(2) + different * math.log(2)
    with torch.no_grad():
        reached = -flow.eval().log_prob(test).mean().item()
    # Six even coins are 4.16 nats; it has learned which pairs cannot be joined.
    assert truth - 0.1 < reached < 0.5 * (truth + 6 * math.log(2))


def test_sizes_that_do_not_fit_are_told() -> None:
    with pytest.raises(pf.errors.UsageError, match="dimensions of at least 2"):
        pf.models.graph_cnf(dimensions=1)
    with pytest.raises(pf.errors.UsageError, match="share 3 edges evenly"):
        EdgeNetwork(6 + 4, 6, nodes=3, seen=2)
    with pytest.raises(pf.errors.UsageError, match="without a context"):
        conditional = pf.transforms.Coupling(pf.transforms.masks.halves(2), pf.scalar.Affine(), pf.networks.MLP, 1)
        pf.transforms.Blocks(conditional)
