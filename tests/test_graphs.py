"""Categorical flows of graphs: the order of the nodes does not matter, and graphs come back as they are."""

import gzip
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.cli import main as cli
from pushforward.data.molecules import graphs_as_molecules, molecules_as_graphs
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
        draws = [flow.log_prob(each.expand(400, *x.shape)) for each in (x, reordered(x, order))]
    errors = torch.stack([each.var(0) for each in draws]).sum(0).div(400).sqrt()
    assert ((draws[0].mean(0) - draws[1].mean(0)).abs() < 4.5 * errors).all()


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
    flow = pf.models.graph_cnf(nodes=3, node_types=2, edge_types=2, layers=1, hidden=16)
    flow.initialise(train[:256])
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
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
    with pytest.raises(pf.errors.UsageError, match="hidden to be a multiple of 4"):
        pf.models.graph_cnf(hidden=6)
    with pytest.raises(pf.errors.ShapeError, match=r"graphs of 3 nodes, \(..., 6\), got \(7,\)"):
        as_matrices(torch.zeros(7), 3)
    with pytest.raises(pf.errors.ShapeError, match="3 x 3"):
        as_vectors(torch.zeros(3), torch.zeros(4, 4))
    with pytest.raises(pf.errors.UsageError, match=r"^Repeated expects transforms, got the class ActNorm"):
        pf.transforms.Repeated(pf.transforms.ActNorm, 3)  # type: ignore[arg-type]
    with pytest.raises(pf.errors.UsageError, match="share 3 edges evenly"):
        EdgeNetwork(6 + 4, 6, nodes=3, seen=2)
    with pytest.raises(pf.errors.UsageError, match="without a context"):
        conditional = pf.transforms.Coupling(pf.transforms.masks.halves(2), pf.scalar.Affine(), pf.networks.MLP, 1)
        pf.transforms.Blocks(conditional)


def test_graphs_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model of graphs takes its sizes from the data; its samples are whole numbers of the right kinds."""
    data, out = tmp_path / "graphs.npy", str(tmp_path / "run")
    x = torch.cat([coloured_graphs(60, NODES, 5), torch.tensor([[4, 4, 4, 4, 0, 0, 0, 0, 0, 1]])])
    np.save(data, x.numpy())
    tiny = ["--set", "layers=1", "--set", "hidden=4", "--max-steps", "1", "-q"]
    assert cli.run(["train", "graph-cnf", "-d", str(data), "-o", out, *tiny]) == 0
    flow = pf.load(Path(out) / "model.safetensors")
    assert [space.count for space in flow.support.spaces] == [5, 2] and flow.support.shape == (10,)
    assert cli.run(["sample", out, "-n", "20", "-o", str(tmp_path / "s.npy"), "-q"]) == 0
    samples = np.load(tmp_path / "s.npy")
    assert samples.dtype == np.uint8 and flow.support.contains(torch.from_numpy(samples)).all()
    assert cli.run(["models", "graph-cnf"]) == 0
    np.save(data, np.zeros((20, 11), np.int64))
    assert cli.run(["train", "graph-cnf", "-d", str(data), "-o", out + "2", *tiny]) == 2
    assert "N nodes and N (N - 1) / 2 edges" in capsys.readouterr().err


def test_molecules_come_back_and_what_is_none_is_told(tmp_path: Path) -> None:
    pytest.importorskip("rdkit", reason="it is an extra")
    kept = ["CCO", "c1ccccc1", "c1cc[nH]c1", "C#N", "O=S(=O)(O)O", "CC(F)Cl", "BrC1CC1"]
    graphs = molecules_as_graphs(kept, 9)
    assert graphs_as_molecules(graphs, 9) == kept
    # Carbon, nitrogen, and between them a bond of the third type; all others are none.
    assert graphs[3].nonzero().flatten().tolist() == [0, 1, 9] and graphs[3, [0, 1, 9]].tolist() == [1, 2, 3]
    # Another order of the atoms is the same molecule.
    types, matrices = as_matrices(graphs, 9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    moved = as_vectors(types[:, order], matrices[:, order][:, :, order])
    assert graphs_as_molecules(moved, 9) == kept
    # Charges, radicals, pieces, other elements, too many atoms.
    assert molecules_as_graphs(["C[N+](C)(C)C", "[CH3]", "C.C", "B", "[H][H]", "CCCCC"], 4).shape == (0, 10)
    # Five bonds of a carbon, two pieces, a bond without an atom, no atom.
    none = [[1, 1, 0, 3, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 3, 3, 0]]
    assert graphs_as_molecules(torch.tensor(none), 3) == ["C#C", None, None, None, None]
    with pytest.raises(pf.errors.DataError, match="'C1C' is no molecule"):
        molecules_as_graphs(["C1C"])
    with pytest.raises(pf.errors.DataError, match="types of bonds from 0 to 3"):
        graphs_as_molecules(torch.tensor([1, 1, 4]), 2)
    with gzip.open(tmp_path / "some.csv.gz", "wt") as file:
        file.write("SMILES,SPLIT\n" + "".join(f"{each},train\n" for each in 2 * kept))
    data = pf.data.load_data(f"smiles:{tmp_path / 'some.csv.gz'}")
    (tmp_path / "broken.smi.gz").write_bytes(b"CCO")
    with pytest.raises(pf.errors.DataError, match="cannot be read as lines of text"):
        pf.data.load_smiles(tmp_path / "broken.smi.gz")
    assert data.event_shape == (45,) and data.levels == 8 and sum(map(len, data.parts().values())) == 14


def test_without_its_extra_molecules_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(pf.errors.MissingExtraError, match=r"reading molecules needs rdkit.*pushforward\[molecules\]"):
        molecules_as_graphs(["C"])
