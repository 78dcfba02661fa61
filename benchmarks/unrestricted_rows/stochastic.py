"""Stochastic flows beside couplings of the same size: the double well's free energy, and normalisers of three targets.

The double well of Wu, Koehler, Noe (2020), ``u(x, y) = -0.5 x - 6 x^2 + x^4 + y^2 / 2``. Flows of three layers, with 20
acceptance steps of Langevin in each or without any, are trained as in the paper, by half the likelihood of samples and
half the divergence of their own paths. The samples are as short simulations from either well give them, as many in
each. The error is that of the free energy of ``x < 0`` over ``x > 0``, against quadrature: the root of squared bias
plus variance of ten runs. The paper reports 1.44 of its RealNVP, and 0.63 with Monte Carlo steps, reweighted.

The normalisers are of the double well (after the first of these trainings), of ManyWell-32 by annealed Hamiltonian
steps at 128 temperatures, not trained at all, and of Neal's funnel by a flow that is trained on its own samples. The
couplings beside them have no steps and are trained for the same time.
"""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import integrate
from torch import Tensor, nn

import pushforward as pf
from pushforward.diagnostics import Estimate, free_energy_difference, log_normaliser
from pushforward.training import Mixed, PathKL, negative_log_likelihood
from pushforward.training.objectives import Objective

RUNS = 10
SECONDS = {"well": 8.0, "many wells": 30.0, "funnel": 45.0}
"""Of each training, where no budget is given; a budget that is given is that of the ten of the double well together."""
PATHS, AT_ONCE = 20_000, 2_000


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    budget = SECONDS if seconds is None else {**dict.fromkeys(SECONDS, seconds), "well": seconds / RUNS}
    return [*double_well(budget["well"]), many_wells(budget["many wells"]), funnel(budget["funnel"])]


def double_well(seconds: float) -> list[dict[str, object]]:
    target, exact = pf.data.ManyWell(2), exact_difference()
    stochastic, couplings = [], []
    for seed in range(RUNS):
        torch.manual_seed(seed)
        options = {"layers": 3, "hidden": 64}
        flow = pf.models.snf(features=2, steps=20, kernel="metropolis", step_size=0.3, target=target, **options)
        plain = without_steps(flow)
        samples = both_wells(2000)
        for each in (flow, plain):
            both = Mixed([(0.5, negative_log_likelihood), (0.5, PathKL(target))])
            train(each, samples, both, seconds, batch_size=128, learning_rate=2e-3, seed=seed)
        stochastic.append(weighted(flow, target, PATHS))
        couplings.append(weighted(plain, target, PATHS))
    ours, others = (reweighted_errors(each, exact) for each in (stochastic, couplings))
    normalisers = [log_normaliser(each[0][1]) for each in (stochastic, couplings)]
    return [
        row("double well: free-energy error, reweighted", ours[0], others[0], "at most 0.6 (published 0.63)"),
        row("double well: free-energy error, not reweighted", ours[1], others[1], "published RealNVP 1.44"),
        row("double well: log Z", *map(str, normalisers), f"{target.log_normaliser:.6f} within 0.1"),
    ]


def many_wells(seconds: float) -> dict[str, object]:
    target = pf.data.ManyWell(32)
    torch.manual_seed(0)
    ladder = pf.models.snf(features=32, layers=128, hidden=4, steps=2, kernel="hmc", step_size=0.2, target=target)
    plain = without_steps(pf.models.snf(features=32, layers=3, hidden=64, target=target))
    train(plain, torch.randn(2000, 32), PathKL(target), seconds, batch_size=256, learning_rate=5e-3, seed=0)
    asked = f"{target.log_normaliser:.6f} within 1"
    return row("ManyWell-32: log Z", *normalisers(target, ladder, plain), asked)


def funnel(seconds: float) -> dict[str, object]:
    target = pf.data.Funnel(10, 3.0)
    torch.manual_seed(0)
    flow = pf.models.snf(features=10, layers=6, hidden=64, steps=1, kernel="metropolis", step_size=0.5, target=target)
    plain = without_steps(flow)
    for each in (flow, plain):
        train(each, torch.randn(2000, 10), PathKL(target), seconds, batch_size=512, learning_rate=1e-2, seed=0)
    return row("funnel of 10 dimensions: log Z", *normalisers(target, flow, plain), "0 within 0.1")


def normalisers(target: nn.Module, *flows: pf.Flow) -> list[str]:
    return [str(log_normaliser(weighted(flow, target, PATHS)[1])) for flow in flows]


def without_steps(flow: pf.Flow) -> pf.Flow:
    """A flow of the same couplings, not trained yet, and none of the stochastic layers."""
    parts = [part for part in flow.transform if not isinstance(part, pf.transforms.Relaxation)]
    return copy.deepcopy(pf.Flow(parts, flow.base))


def train(
    flow: pf.Flow,
    rows: Tensor,
    objective: Objective,
    seconds: float,
    *,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    pf.fit(
        flow,
        rows,
        objective=objective,
        max_time=seconds,
        batch_size=batch_size,
        learning_rate=learning_rate,
        ema=0.9,
        seed=seed,
        progress=False,
    )


@torch.no_grad()
def weighted(flow: pf.Flow, target: nn.Module, count: int) -> tuple[Tensor, Tensor]:
    """Samples with the logarithms of their weights."""
    pairs = [flow.log_weight(target, AT_ONCE) for _ in range(count // AT_ONCE)]
    x, log_weight = zip(*pairs, strict=True)
    return torch.cat(x), torch.cat(log_weight)


def both_wells(count: int) -> Tensor:
    """Samples around the two minima, as many at each: what short simulations from either well give."""
    side = torch.where(torch.rand(count) < 0.5, -1.7, 1.75)
    return torch.stack([side + 0.2 * torch.randn(count), torch.randn(count)], -1)


def reweighted_errors(runs: Sequence[tuple[Tensor, Tensor]], exact: float) -> tuple[float, float]:
    """The root of squared bias plus variance of the runs' free-energy differences, by weights and by counts."""
    weighed = [difference(x, log_weight).value - exact for x, log_weight in runs]
    counted = [difference(x, torch.zeros_like(log_weight)).value - exact for x, log_weight in runs]
    return tuple(math.hypot(statistics.fmean(each), statistics.pstdev(each)) for each in (weighed, counted))  # type: ignore[return-value]


def difference(x: Tensor, log_weight: Tensor) -> Estimate:
    left = x[:, 0] < 0
    return free_energy_difference(log_weight, left, ~left)


def exact_difference() -> float:
    """The free energy of the left well over the right one's."""

    def density(x: float) -> float:
        return float(np.exp(0.5 * x + 6 * x**2 - x**4))

    left, right = integrate.quad(density, -6, 0)[0], integrate.quad(density, 0, 6)[0]
    return math.log(right / left)


def row(what: str, ours: float | str, other: float | str | None, asked: str) -> dict[str, object]:
    return {"what": what, "ours": ours, "other": other, "asked": asked}
