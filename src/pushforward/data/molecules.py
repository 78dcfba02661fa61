"""Molecules as graphs whose nodes are atoms and whose edges are bonds."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.data.dataset import Dataset, split
from pushforward.data.sources import require_file
from pushforward.data.toys.graphs import as_matrices, as_vectors
from pushforward.errors import DataError, UsageError, first_line
from pushforward.extras import requires
from pushforward.networks.graphs.pairs import count_pairs

ELEMENTS = ("C", "N", "O", "F", "S", "Cl", "Br")
"""The elements of atoms, in the order of their types, which begin at 1: type 0 is no atom."""
BONDS = ("SINGLE", "DOUBLE", "TRIPLE")
"""The bonds, in RDKit's words, in the order of their types, which begin at 1: type 0 is no bond. Aromatic rings are
written with single and double bonds."""


def load_smiles(path: str | os.PathLike[str], atoms: int = 9) -> Dataset:
    """The molecules of a file that :func:`molecules_as_graphs` keeps, split 80/10/10: whole numbers of 8 levels, the
    types of ``atoms`` atoms and of the bonds between them.

    Args:
        path: a file with the SMILES of a molecule first in each line (``.smi``, ``.txt``, ``.csv``; also ``.gz``), with
            a head that says so (``SMILES``) or without.
        atoms: the most heavy atoms, hydrogen not counted.

    Raises:
        DataError: a missing file, a line that is no molecule, or fewer than ten molecules that are kept.
        MissingExtraError: RDKit is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/chains.smi", "w") as file:
        ...         _ = file.write("".join("C" * length + "O\\n" for length in range(2, 8)) * 2)
        ...     data = load_smiles(f"{folder}/chains.smi")
        >>> data.levels
        8
    """
    file = require_file(Path(path).expanduser())
    graphs = molecules_as_graphs(_words(file), atoms)
    return split(file.name, graphs, levels=1 + len(ELEMENTS))


def molecules_as_graphs(smiles: Iterable[str], atoms: int = 9) -> Tensor:
    """Return the graphs ``(M, N + E)`` of molecules, for ``graph-cnf`` with 8 types of nodes and 4 of edges.

    Nodes are heavy atoms, in the order of the SMILES, and those behind them are of type 0, none; edges are bonds. Kept
    is what comes back as the same molecule (but for its handedness and its isotopes): one piece of at most ``atoms``
    atoms of `ELEMENTS`, without charges and radicals.

    Args:
        smiles: molecules in the notation of Weininger (1988).
        atoms: the number of nodes ``N``.

    Raises:
        DataError: a text that is no molecule.
        UsageError: for fewer than two atoms.
        MissingExtraError: RDKit is not installed.

    Example:
        >>> molecules_as_graphs(["CCO"], atoms=3)  # doctest: +SKIP
        tensor([[1, 1, 3, 1, 0, 1]])
    """
    if atoms < 2:
        raise UsageError(f"molecules_as_graphs expects at least 2 atoms, got {atoms}")
    chem = _chemistry()
    found = [_graph(chem, text, atoms) for text in smiles]
    kept = [graph for graph in found if graph is not None]
    return torch.stack(kept) if kept else torch.zeros(0, atoms + count_pairs(atoms), dtype=torch.long)


def graphs_as_molecules(graphs: Tensor, atoms: int = 9) -> list[str | None]:
    """Return the canonical SMILES of graphs ``(M, N + E)``; None for one that is no molecule: whose valences do not
    fit, that falls into pieces, has no atom, or has a bond where there is no atom.

    Raises:
        ShapeError: if the graphs do not have so many nodes.
        DataError: for types of atoms or bonds that there are not.
        MissingExtraError: RDKit is not installed.

    Example:
        >>> graphs_as_molecules(torch.tensor([[1, 1, 3, 1, 0, 1], [1, 1, 3, 3, 0, 2]]), atoms=3)  # doctest: +SKIP
        ['CCO', None]
    """
    chem = _chemistry()
    types, matrices = as_matrices(graphs.long(), atoms)
    for kinds, known, what in ((types, ELEMENTS, "atoms"), (matrices, BONDS, "bonds")):
        if kinds.numel() and (kinds.min() < 0 or kinds.max() > len(known)):
            raise DataError(f"graphs_as_molecules expects types of {what} from 0 to {len(known)}, got others")
    return [_smiles(chem, *graph) for graph in zip(types.tolist(), matrices.tolist())]


def _graph(chem: Any, text: str, atoms: int) -> Tensor | None:
    molecule = chem.MolFromSmiles(text)
    if molecule is None:
        raise DataError(f"{text!r} is no molecule that RDKit reads")
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    if len(symbols) > atoms or not set(symbols) <= set(ELEMENTS):
        return None
    same = chem.MolToSmiles(molecule, isomericSmiles=False)
    chem.Kekulize(molecule, clearAromaticFlags=True)
    bonds = torch.as_tensor(chem.GetAdjacencyMatrix(molecule, useBO=True)).long()
    if bonds.numel() and bonds.max() > len(BONDS):
        return None
    missing = atoms - len(symbols)
    types = torch.tensor([1 + ELEMENTS.index(symbol) for symbol in symbols] + missing * [0])
    matrix = F.pad(bonds, (0, missing, 0, missing))
    return as_vectors(types, matrix) if _smiles(chem, types.tolist(), matrix.tolist()) == same else None


def _smiles(chem: Any, types: Sequence[int], matrix: Sequence[Sequence[int]]) -> str | None:
    molecule = chem.RWMol()
    places = {node: molecule.AddAtom(chem.Atom(ELEMENTS[kind - 1])) for node, kind in enumerate(types) if kind}
    bonds = [(*ends, matrix[ends[0]][ends[1]]) for ends in combinations(range(len(types)), 2)]
    for first, second, kind in bonds:
        if kind and not {first, second} <= set(places):
            return None
        if kind:
            molecule.AddBond(places[first], places[second], getattr(chem.BondType, BONDS[kind - 1]))
    return _canonical(chem, molecule) if places else None


def _canonical(chem: Any, molecule: Any) -> str | None:
    try:
        chem.SanitizeMol(molecule)
    except chem.MolSanitizeException:
        return None
    smiles = str(chem.MolToSmiles(molecule))
    return None if "." in smiles else smiles


def _words(file: Path) -> list[str]:
    """The first word of each line, without a head."""
    try:
        with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
            words = [re.split(r"[\s,;]", line.strip(), maxsplit=1)[0] for line in lines]
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read as lines of text ({first_line(error)})") from error
    head = bool(words) and words[0].lower() == "smiles"
    return [word for word in words[head:] if word]


def _chemistry() -> Any:
    with requires("molecules", purpose="reading molecules"):
        from rdkit import Chem, rdBase

    # What is no molecule is an answer here, not something to be told of on the way.
    rdBase.DisableLog("rdApp.error")
    return Chem
