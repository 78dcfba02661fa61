"""Categorical flows of coloured graphs, beside a categorical flow that does not know of graphs.

Graphs of six nodes in three colours, whose edges join nodes of different colours alone, each a fair coin: the entropy
is known. Said are the bits of held-out graphs (a bound by 16 draws) above the entropy, and of 5,000 samples how many
are valid (no edge joins two nodes of one colour), how many of the valid are unique, and how many of those are novel.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch

import pushforward as pf
from pushforward.data.toys import as_matrices, coloured_graphs
from pushforward.networks.graphs.pairs import pairs

NODES, COLOURS = 6, 3
BUDGET = 300.0
RATE = 2e-3


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Measure the row."""
    generator = torch.Generator().manual_seed(0)
    known, test = (coloured_graphs(count, NODES, COLOURS, generator) for count in (10_000, 1_000))
    torch.manual_seed(0)
    flows = [
        pf.models.graph_cnf(nodes=NODES, node_types=COLOURS, edge_types=2, hidden=32),
        pf.models.categorical_flow(features=known.shape[1], classes=COLOURS, hidden=64),
    ]
    measured = [_measured(flow, known, test, BUDGET if seconds is None else seconds) for flow in flows]
    asked = {"valid": "nearly all"}
    return [
        {"what": what, "ours": measured[0][what], "other": measured[1][what], "asked": asked.get(what, "")}
        for what in measured[0]
    ]


def _measured(flow: pf.Flow, known: torch.Tensor, test: torch.Tensor, seconds: float) -> dict[str, float]:
    train(flow, known, seconds)
    with torch.no_grad():
        bits = -flow.importance_log_prob(test, importance_samples=16).mean().item() / math.log(2)
        samples = flow.sample(5_000).long()
    valid = samples[_matches(samples)]
    unique = {tuple(row) for row in valid.tolist()}
    novel = unique - {tuple(row) for row in known.tolist()}
    return {
        "bits of a graph above the entropy": bits - _entropy(test),
        "valid": len(valid) / len(samples),
        "unique, of the valid": len(unique) / max(len(valid), 1),
        "novel, of the unique": len(novel) / max(len(unique), 1),
    }


def train(flow: pf.Flow, graphs: torch.Tensor, seconds: float) -> int:
    """Train for so long, with a rate that falls to nothing, and return the number of steps."""
    flow.initialise(graphs[:512])
    optimiser = torch.optim.Adam(flow.parameters(), RATE)
    began, steps = time.monotonic(), 0
    while (passed := (time.monotonic() - began) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * passed)) / 2
        loss = -flow.log_prob(graphs[torch.randint(len(graphs), (128,))]).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimiser.step()
        steps += 1
    flow.eval()
    return steps


def _matches(samples: torch.Tensor) -> torch.Tensor:
    """Whether no edge joins two nodes of one colour, and no edge is of a type that edges do not have."""
    types, matrices = as_matrices(samples, NODES)
    broken = (matrices.bool() & (types[:, :, None] == types[:, None, :])) | (matrices > 1)
    return ~broken.any(-1).any(-1)


def _entropy(graphs: torch.Tensor) -> float:
    """The bits of a graph of known probability: its colours, and a coin for each pair of different colours."""
    types, first, second = graphs[:, :NODES], *pairs(NODES)
    coins = (types[:, first] != types[:, second]).sum(1).double().mean().item()
    return NODES * math.log2(COLOURS) + coins
