"""Five-dimensional heavy-tailed samples, as Hickling and Prangle (2024, arXiv:2311.00580) draw them: four independent
Student t's and ``x_5 = x_4 + N(0, 1)``, 5,000 rows, of which 40 % train, 20 % choose the weights and 40 % test.

Test negative log-likelihood in nats per dimension of the model ``tails`` ("ours"), beside the best of the published
flows ("other"); the density itself would score as the line says. Then the tail index that the flow took from the
training rows, of the four dimensions that have one of their own.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from scipy import stats
from torch import Tensor

import pushforward as pf

PUBLISHED = {0.5: 3.30, 1.0: 2.33, 2.0: 1.87, 30.0: 1.46}
"""By degrees of freedom."""
SECONDS = 60.0
FEATURES, ROWS = 5, 5000
LAYERS, HIDDEN = 2, 32
REPEATS = 3


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Fit every number of degrees of freedom, each with several draws of the data."""
    lines: list[dict[str, object]] = []
    for degrees, published in PUBLISHED.items():
        fits = [fitted(degrees, seconds or SECONDS, seed) for seed in range(1 if seconds else REPEATS)]
        scores, indices = (sum(values) / len(fits) for values in zip(*fits, strict=True))
        truth = entropy(degrees)
        what = f"t, {degrees:g} degrees: test nats per dimension ({truth:.3f} by the density itself)"
        lines.append({"what": what, "ours": scores, "other": published, "asked": f"<= {published + 0.05:.2f}"})
        what = f"t, {degrees:g} degrees: tail index, the mean of four dimensions"
        asked = f"{0.85 * degrees:g} to {1.15 * degrees:g}"
        lines.append({"what": what, "ours": indices, "other": degrees, "asked": asked})
    return lines


def samples(degrees: float, seed: int) -> Tensor:
    """Rows ``(N, 5)``, in double precision: a single one has no room for a unit beside ten million."""
    rows = torch.from_numpy(stats.t.rvs(degrees, size=(ROWS, FEATURES), random_state=seed))
    noise = torch.randn(ROWS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    rows[:, -1] = rows[:, -2] + noise
    return rows


def entropy(degrees: float) -> float:
    """Of the samples' distribution, per dimension."""
    normal = 0.5 * math.log(2 * math.pi * math.e)
    return ((FEATURES - 1) * float(stats.t.entropy(degrees)) + normal) / FEATURES


def fitted(degrees: float, seconds: float, seed: int) -> tuple[float, float]:
    """Test negative log-likelihood per dimension, and the mean tail index of the first four dimensions."""
    train, validation, test = samples(degrees, seed).split([2000, 1000, 2000])
    torch.manual_seed(seed)
    flow = pf.models.tails(features=FEATURES, layers=LAYERS, hidden=HIDDEN).double()
    # All rows tell of the tails, not only the batch that fit would start from.
    flow.initialise(train)
    options = {"precision": "64", "compile": False, "patience": 20, "weight_decay": 0.01, "optimizer": "adamw"}
    pf.fit(flow, train, validation, max_time=seconds, seed=seed, progress=False, **options)
    indices = flow.transform[2].indices()[:-1]
    return -flow.log_prob(test).mean().item() / FEATURES, indices.mean().item()
