"""The octagon of eight Gaussians and the thrown ball: both networks of ours, trained for the same time.

The octagon's posterior errors are the maximum mean discrepancy from exact draws, the mean over its labels, for each set
of labels; those of ballistics are measured as the row ``kinematics`` says. "ours" is the conditional network, "other"
the one with the observation among its outputs, whose octagon is padded to 16 dimensions, as in the paper.
"""

from __future__ import annotations

from pathlib import Path

import torch

import pushforward as pf
from inference_rows.kinematics import KEPT, Measurement
from pushforward.data.inverse import InverseBallistics, Octagon
from pushforward.data.inverse.octagon import LABELS
from pushforward.inference import ConditionalInvertibleNetwork, InverseSolver, InvertibleNetwork

SECONDS = 60.0
ROWS, BATCH, RATE = 100_000, 512, 2e-3


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train all for ``seconds`` each."""
    budget = seconds or SECONDS
    rows = [_octagon(labels, budget) for labels in LABELS]
    return rows + _ballistics(budget)


def _octagon(labels: str, budget: float) -> dict[str, object]:
    octagon = Octagon(labels)
    torch.manual_seed(0)
    x, y = octagon.sample(ROWS)
    spline = pf.scalar.RationalQuadraticSpline()
    conditional = ConditionalInvertibleNetwork(2, octagon.observation, scalar=spline)
    invertible = InvertibleNetwork(2, octagon.observation, latent=2, width=16)
    errors = [_octagon_error(_fitted(each, x, y, budget), octagon) for each in (conditional, invertible)]
    return {"what": f"octagon, labels {labels}: posterior error", "ours": errors[0], "other": errors[1], "asked": ""}


def _octagon_error(solver: InverseSolver, octagon: Octagon) -> float:
    labels = range(int(octagon.labels.max()) + 1)
    torch.manual_seed(1)
    errors = [
        pf.diagnostics.mmd(
            solver.posterior(label).sample((KEPT,)), octagon.posterior_sample(KEPT, label), permutations=1
        ).value
        for label in labels
    ]
    return sum(errors) / len(errors)


def _ballistics(budget: float) -> list[dict[str, object]]:
    problem = InverseBallistics()
    torch.manual_seed(0)
    x, y = problem.sample(ROWS)
    measure = Measurement(problem)
    conditional = ConditionalInvertibleNetwork(4, 1, scalar=pf.scalar.RationalQuadraticSpline())
    ours, other = (measure(_fitted(each, x, y, budget)) for each in (conditional, InvertibleNetwork(4, 1)))
    return [
        {"what": f"ballistics: {what}", "ours": value, "other": other[what], "asked": ""}
        for what, value in ours.items()
    ]


def _fitted(solver: InverseSolver, x: torch.Tensor, y: torch.Tensor, budget: float) -> InverseSolver:
    solver.fit(x, y, max_time=budget, batch_size=BATCH, learning_rate=RATE, seed=0, progress=False)
    return solver
