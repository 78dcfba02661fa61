"""Flow matching against training by likelihood: the same kind of density, a tenth of the time.

On tables of the UCI repository (kin40k without its last input, 8 columns; skillcraft, 20), `ffjord` is trained by
likelihood for the whole budget and `cnf` by flow matching for a tenth of it, each on one thread, with the same batches
of 256 rows, the defaults of their recipes and of `fit`, and the weights of their last moving average. What is compared
is the mean log-likelihood in nats of the same held-out rows (a tenth of the table, 1,000 at most), by solving the
equation to the tolerance of the models. The tables are standardised by their training part (`benchmarks/vectors.py`).

On two moons, whose density is known: the divergence KL(data || model) of `cnf` after 60 s, on 20,000 fresh points.
Rectified (`reflow`), the same flow draws in few steps: how far from those of the solved equation its samples are, from
the same latents, beside those of the flow itself in as few steps; and how straight its trajectories are.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from vectors import read_table

import pushforward as pf
from pushforward.training import FlowMatching, reflow, solved_by
from pushforward.training.objectives.flow_matching import OptimalTransport, PowerTimes
from pushforward.transforms import FixedSteps

Row = dict[str, object]
TABLES = {"kin40k": [0, 1, 2, 3, 4, 5, 6, 8], "skillcraft": list(range(20))}
TABLE_SECONDS, MOONS_SECONDS = 300.0, 60.0
SHARE = 0.1
MOONS_RATE = 2e-3
FRESH, SCORED, BATCH = 20_000, 1_000, 256


def run(seconds: float | None, data: Path) -> list[Row]:
    """Measure; ``seconds`` are those of a training by likelihood on a table, and of the one on moons."""
    torch.set_num_threads(1)
    rows = [row for name in TABLES for row in table(name, TABLE_SECONDS if seconds is None else seconds, data)]
    return rows + moons(MOONS_SECONDS if seconds is None else min(seconds, MOONS_SECONDS))


def table(name: str, seconds: float, data: Path) -> list[Row]:
    """Held-out log-likelihoods on one table."""
    train, _, test = (part[:, TABLES[name]] for part in read_table(data / "uci" / f"{name}.csv.gz"))
    columns, test = train.shape[1], test[:SCORED]
    slow = score("ffjord", columns, train, test, seconds)
    fast = score("cnf", columns, train, test, SHARE * seconds)
    what = f"{name} ({columns} columns): held-out nats, cnf after {SHARE * seconds:.0f} s, ffjord after {seconds:.0f} s"
    return [{"what": what, "ours": fast, "other": slow, "asked": "no less"}]


def score(model: str, columns: int, train: torch.Tensor, test: torch.Tensor, seconds: float) -> float:
    """The mean log-likelihood of rows after a training of a model."""
    torch.manual_seed(0)
    flow = pf.build(model, features=columns)
    pf.fit(flow, train, max_time=seconds, batch_size=BATCH, seed=0, progress=False)
    return pf.training.evaluate(flow, test).log_prob


def moons(seconds: float) -> list[Row]:
    """The divergence from the truth, and drawing in few steps."""
    truth = pf.data.toy("moons")
    torch.manual_seed(0)
    flow = pf.models.cnf(features=2)
    train = truth.sample(200_000, torch.Generator().manual_seed(1))
    # Near the data the field is sharpest.
    matching = FlowMatching(pairing=OptimalTransport(), times=PowerTimes(1.0))
    pf.fit(
        flow,
        train,
        objective=matching,
        max_time=seconds,
        batch_size=BATCH,
        learning_rate=MOONS_RATE,
        seed=0,
        progress=False,
    )
    fresh = truth.sample(FRESH, torch.Generator().manual_seed(2))
    with torch.no_grad():
        gap = truth.log_prob(fresh) - flow.log_prob(fresh)
    kl = f"{gap.mean():.4f} +- {gap.std() / FRESH**0.5:.4f}"
    return [
        {"what": f"moons: KL in nats after {seconds:.0f} s", "ours": kl, "other": None, "asked": "< 0.03"},
        *few_steps(flow, seconds),
    ]


def few_steps(flow: pf.Flow, seconds: float) -> list[Row]:
    """Ours is the rectified flow, the other the flow that it was made of."""
    student = reflow(flow, max_time=seconds, batch_size=BATCH, ema=0.999, progress=False)
    z = torch.randn(FRESH, 2, generator=torch.Generator().manual_seed(3))
    rows: list[Row] = []
    with torch.no_grad():
        solved, took = timed(flow, z)
        for steps in (1, 2, 4):
            (ours, spent), (other, _) = (timed(solved_by(each, FixedSteps(steps)), z) for each in (student, flow))
            what = f"moons: mean distance of samples in {steps} Euler steps from those of the solved equation"
            asked = f"small; {took / spent:.0f} times faster than to solve it"
            rows.append(
                {"what": what, "ours": distance(ours, solved), "other": distance(other, solved), "asked": asked}
            )
    ours, other = (pf.diagnostics.straightness(each) for each in (student, flow))
    return [*rows, {"what": "moons: straightness", "ours": ours, "other": other, "asked": "towards 0"}]


def timed(flow: pf.Flow, z: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The data of latents, and how long that took."""
    began = time.perf_counter()
    x = flow.decode(z)
    return x, time.perf_counter() - began


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    """The mean distance of points."""
    return (x - y).norm(dim=1).mean().item()
