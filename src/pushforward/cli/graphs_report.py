"""Reports of models of graphs: whole numbers of nodes and of edges."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.cli.report_parts import score_section, seeded
from pushforward.cli.runs import Run
from pushforward.data.molecules import BONDS, ELEMENTS, graphs_as_molecules
from pushforward.flows.flow import Flow
from pushforward.reports import Report, Section, Table, marginal_table, share_table, unlikely_rows
from pushforward.training.evaluate import log_probs

_ROWS, _SHOWN = 1000, 20
_MOLECULES = "smiles:"


def report_of_graphs(run: Run, flow: Flow, x: Tensor, source: str, seed: int) -> Report:
    """The report of a flow of graphs with test graphs ``(n, N + E)`` that come from ``source``."""
    nodes, molecules = int(run.options["nodes"]), source.startswith(_MOLECULES)
    data = x[:_ROWS].long()
    samples = seeded(seed, lambda: flow.sample(len(data))).long()
    sections = [
        score_section(flow, x, None, seed),
        Section("Nodes and edges", content=_counts(data, samples, nodes, molecules)),
    ]
    if molecules:
        sections.append(_drawn(data, samples, nodes))
    scores = log_probs(flow, x, seed=seed).numpy()
    rows, names = _written(x.long(), nodes, molecules)
    return Report(
        title=f"{run.model} on {source}",
        text=f"A flow of graphs of {nodes} nodes, tested on {len(x):,} graphs that it was not trained on.",
        sections=[*sections, Section("Unlikely graphs", content=[unlikely_rows(scores, rows, names)])],
        configuration={"model": run.model, "data": source, **run.options, **run.training},
    )


def _counts(data: Tensor, samples: Tensor, nodes: int, molecules: bool) -> list[Table]:
    """How often each type of nodes and of edges comes, and how many edges a graph has."""
    types = int(max(data.max(), samples.max())) + 1
    atoms = ("none", *ELEMENTS) if molecules else range(types)
    bonds = ("none", *(bond.lower() for bond in BONDS)) if molecules else range(types)
    edges, drawn = ((each[:, nodes:] > 0).sum(1, keepdim=True) for each in (data, samples))
    return [
        share_table(data[:, :nodes].flatten(), samples[:, :nodes].flatten(), list(atoms), "type of node"),
        share_table(data[:, nodes:].flatten(), samples[:, nodes:].flatten(), list(bonds), "type of edge"),
        marginal_table(edges, drawn, ["edges of a graph, but type 0"]),
    ]


def _drawn(data: Tensor, samples: Tensor, nodes: int) -> Section:
    """Which samples are molecules."""
    known = set(graphs_as_molecules(data, nodes))
    drawn = [each for each in graphs_as_molecules(samples, nodes) if each is not None]
    different = dict.fromkeys(drawn)
    rows = [
        ("samples", len(samples)),
        ("which are molecules", len(drawn)),
        ("different ones", len(different)),
        ("that are not among the test data", len(different.keys() - known)),
    ]
    shown = Table(("SMILES",), [[each] for each in list(different)[:_SHOWN]], "The first different ones")
    return Section("Samples", content=[Table(("molecules", "number"), rows), *([shown] if different else [])])


def _written(x: Tensor, nodes: int, molecules: bool) -> tuple[list[list[object]], list[str]]:
    """Graphs as they are read, with the headings: molecules as SMILES, others as the types of nodes and of edges."""
    if molecules:
        return [[smiles or "no molecule"] for smiles in graphs_as_molecules(x, nodes)], ["SMILES"]
    types, edges = torch.split(x, [nodes, x.shape[1] - nodes], dim=1)
    spelled = [[" ".join(map(str, each)) for each in part.tolist()] for part in (types, edges)]
    return [list(row) for row in zip(*spelled, strict=True)], ["types of nodes", "of edges"]
