"""``graph-cnf`` on small molecules, beside atoms and bonds that are drawn independently of each other.

Whole molecules of the PyPI package ``molsets`` (MOSES, Polykovskiy et al. 2020, arXiv:1811.12823) are too large for a
training of minutes: of 1.8 million 483 have at most 12 heavy atoms. So the data are pieces of its first 50,000 training
molecules, those of 3 to 9 heavy atoms that are left where one bond outside of rings is cut: 9 nodes of 8 types, "no
atom" among them, and 36 edges of 4, "no bond" among them; one in ten is held out.

Said are, of 5,000 samples, how many RDKit reads as one molecule, how many of those differ, and how many of these are
not in the data for training; and the bits of held-out molecules (a bound by 16 draws). Needs ``molsets`` (its file of
SMILES alone, nothing of it is imported) and ``rdkit``.
"""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import torch

import pushforward as pf
from images_rows.graphs import train
from pushforward.data.molecules import BONDS, ELEMENTS, graphs_as_molecules, molecules_as_graphs

ATOMS, SMALLEST = 9, 3
MOLECULES = 50_000
SAMPLES = 5_000
BUDGET = 420.0


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Measure the row."""
    budget = BUDGET if seconds is None else seconds
    count = MOLECULES if seconds is None else 1_000
    torch.manual_seed(0)
    graphs = molecules_as_graphs(sorted(_pieces(_file(), count)), ATOMS)
    graphs = graphs[(graphs[:, :ATOMS] > 0).sum(1) >= SMALLEST]
    graphs = graphs[torch.randperm(len(graphs))]
    held_out, known = graphs[: len(graphs) // 10], graphs[len(graphs) // 10 :]
    flow = pf.models.graph_cnf(ATOMS, 1 + len(ELEMENTS), 1 + len(BONDS), dimensions=4, layers=4, hidden=64)
    steps = train(flow, known, budget)
    with torch.no_grad():
        bits = -flow.importance_log_prob(held_out, importance_samples=16).mean().item() / math.log(2)
        samples = flow.sample(SAMPLES).long()
    ours, other = (_judged(each, known) for each in (samples, _independent(known)))
    return [
        {"what": f"molecules for training, of {count}", "ours": len(known)},
        {"what": f"steps in {budget:.0f} s", "ours": steps},
        {"what": "bits of a held-out molecule", "ours": bits, "other": _independent_bits(known, held_out)},
        *({"what": what, "ours": ours[what], "other": other[what]} for what in ours),
    ]


def _file() -> Path:
    found = importlib.util.find_spec("moses")
    if found is None or found.origin is None:
        raise SystemExit("the row molecules needs the package molsets: pip install --no-deps molsets rdkit")
    return Path(found.origin).parent / "dataset" / "data" / "train.csv.gz"


def _pieces(file: Path, count: int) -> set[str]:
    """The canonical SMILES of what one cut of a bond outside of rings leaves, each end with one more hydrogen."""
    from rdkit import Chem

    bond = Chem.MolFromSmarts("[!#1]-!@[!#1]")
    with gzip.open(file, "rt") as lines:
        molecules = [Chem.MolFromSmiles(line.split(",")[0]) for line in itertools.islice(lines, 1, count + 1)]
    cuts = ((molecule, ends) for molecule in molecules for ends in molecule.GetSubstructMatches(bond))
    return {piece for molecule, ends in cuts for piece in _cut(Chem.RWMol(molecule), ends)}


def _cut(molecule: object, ends: tuple[int, int]) -> Iterator[str]:
    from rdkit import Chem

    molecule.RemoveBond(*ends)  # type: ignore[attr-defined]
    for atom in (molecule.GetAtomWithIdx(end) for end in ends):  # type: ignore[attr-defined]
        if atom.GetNoImplicit() or (atom.GetIsAromatic() and atom.GetSymbol() != "C"):
            atom.SetNumExplicitHs(atom.GetNumExplicitHs() + 1)
    yield from Chem.MolToSmiles(molecule, isomericSmiles=False).split(".")


def _judged(samples: torch.Tensor, known: torch.Tensor) -> dict[str, float]:
    smiles = [each for each in graphs_as_molecules(samples, ATOMS) if each is not None]
    unique = set(smiles)
    novel = unique - set(graphs_as_molecules(known, ATOMS))
    return {
        "valid": len(smiles) / len(samples),
        "unique, of the valid": len(unique) / max(len(smiles), 1),
        "novel, of the unique": len(novel) / max(len(unique), 1),
        "valid, unique and novel, of all": len(novel) / len(samples),
    }


def _frequencies(known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How often each type is that of a node, and of an edge, wherever it is: nodes have no order."""
    nodes, edges = known[:, :ATOMS].flatten(), known[:, ATOMS:].flatten()
    of_nodes, of_edges = nodes.bincount(minlength=1 + len(ELEMENTS)), edges.bincount(minlength=1 + len(BONDS))
    return of_nodes / len(nodes), of_edges / len(edges)


def _independent(known: torch.Tensor) -> torch.Tensor:
    of_nodes, of_edges = _frequencies(known)
    shape = SAMPLES, known.shape[1] - ATOMS
    nodes = of_nodes.multinomial(SAMPLES * ATOMS, replacement=True).view(SAMPLES, ATOMS)
    return torch.cat([nodes, of_edges.multinomial(shape[0] * shape[1], replacement=True).view(shape)], 1)


def _independent_bits(known: torch.Tensor, held_out: torch.Tensor) -> float:
    of_nodes, of_edges = _frequencies(known)
    each = torch.cat([of_nodes[held_out[:, :ATOMS]], of_edges[held_out[:, ATOMS:]]], 1)
    return -each.clamp_min(1e-9).log2().sum(1).mean().item()
