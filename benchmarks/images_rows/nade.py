"""RNADE on tables: mixtures of Gaussians and of Laplacians beside MAF and NSF.

Test nats per row of the three tables, standardised, after as many steps each and with about as many parameters (a
hidden width is chosen so that they come near `PARAMETERS`), as the best validation leaves them. "Ours" is RNADE;
"other" the flow in the cell's description. Published for RNADE on red and white wine: -9.36 and -10.23 nats, tables
that are not at hand. Binarised MNIST by NADE beside MADE is in the row ``pixels``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from vectors import read_table

import pushforward as pf

TABLES = ("kin40k", "skillcraft", "elevators")
STEPS, STEPS_A_SECOND = 5000, 20
PARAMETERS = 100_000
MIXTURES = ("gaussian", "laplace")
FLOWS = ("maf", "nsf")
TRAINING: dict[str, Any] = {"batch_size": 256, "learning_rate": 1e-3, "progress": False, "seed": 0}


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """A line for each table, mixture and flow."""
    steps = STEPS if seconds is None else max(1, round(seconds * STEPS_A_SECOND))
    return [line for table in TABLES for line in on_table(table, steps, data)]


def on_table(table: str, steps: int, data: Path) -> list[dict[str, object]]:
    """Both mixtures beside both flows on one table."""
    parts = read_table(data / "uci" / f"{table}.csv.gz")
    mixtures = {name: trained("rnade", parts, steps, mixture=name) for name in MIXTURES}
    flows = {name: trained(name, parts, steps) for name in FLOWS}
    return [
        {
            "what": f"{table}, test nats after {steps} steps: RNADE, {mixture} ({sizes:,}), beside {flow} ({other:,})",
            "ours": nats,
            "other": theirs,
            "asked": "a table",
        }
        for mixture, (nats, sizes) in mixtures.items()
        for flow, (theirs, other) in flows.items()
    ]


def trained(name: str, parts: tuple[Tensor, Tensor, Tensor], steps: int, **options: Any) -> tuple[float, int]:
    """The mean log-density of the test rows, and how many parameters there are."""
    train, validation, test = parts
    torch.manual_seed(0)
    flow = of_about_the_size(name, train.shape[1], **options)
    pf.fit(flow, train, validation, max_steps=steps, **TRAINING)
    with torch.no_grad():
        return flow.log_prob(test).double().mean().item(), size(flow)


def of_about_the_size(name: str, features: int, **options: Any) -> pf.Flow:
    """The widest model that has no more than `PARAMETERS`, in steps of eight hidden units."""
    hidden = 8
    while size(pf.build(name, features=features, hidden=hidden + 8, **options)) <= PARAMETERS:
        hidden += 8
    return pf.build(name, features=features, hidden=hidden, **options)


def size(flow: pf.Flow) -> int:
    """How many parameters a flow has."""
    return sum(parameter.numel() for parameter in flow.parameters())
