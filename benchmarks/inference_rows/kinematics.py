"""Inverse kinematics: posteriors of ours and of FrEIA's invertible network, trained for the same time on the same data.

Each gives draws at the same observations. Their posterior error is the maximum mean discrepancy from rejection (which
differs from another rejection by 0.0001); the re-simulation error is the mean of ``|s(x) - y|^2``; the calibration
error is the median over the levels of central intervals, the mean over parameters. FrEIA's network has its blocks
(``GLOWCouplingBlock``, random permutations) and the same losses, learning rates and sizes; FrEIA has no training of its
own, its loop is that of its examples.

FrEIA is no dependency: ``pip install --no-deps --target /tmp/freia FrEIA``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.data.inverse import InverseKinematics, InverseProblem
from pushforward.inference import (
    ConditionalInvertibleNetwork,
    InverseSolver,
    InvertibleNetwork,
    NarrowingLikelihood,
    calibration,
    rejection_sample,
    resimulation_error,
)
from pushforward.training.discrepancy import InverseMultiquadric, maximum_mean_discrepancy

FREIA = "/tmp/freia"
SECONDS = 300.0
ROWS, BATCH, RATE, LAYERS, HIDDEN, NOISE = 200_000, 512, 5e-3, 6, 64, 0.02
NARROWED = 1500
OBSERVATIONS, KEPT, TRIED = 10, 500, 1_000_000
TRUE = 2000
ASKED = {
    "steps": "",
    "posterior error": "at most FrEIA's",
    "re-simulation error": "at most FrEIA's",
    "calibration error": "under 0.01",
    "calibration error, worst parameter": "under 0.01",
}


class Draws(torch.distributions.Distribution):
    """The draws of a function of how many."""

    def __init__(self, draw: Callable[[int], Tensor]) -> None:
        super().__init__(validate_args=False)
        self._draw = draw

    def sample(self, sample_shape: torch.Size) -> Tensor:  # type: ignore[override]
        return self._draw(sample_shape.numel())


class FreiaNetwork:
    """The invertible network of FrEIA, from four parameters to two observed and two latent features."""

    def __init__(self) -> None:
        sys.path.append(FREIA)
        import FrEIA.framework as framework
        import FrEIA.modules as modules

        def subnetwork(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(
                *[
                    nn.Linear(inputs, HIDDEN),
                    nn.SiLU(),
                    nn.Linear(HIDDEN, HIDDEN),
                    nn.SiLU(),
                    nn.Linear(HIDDEN, outputs),
                ]
            )

        self.network = framework.SequenceINN(4)
        for seed in range(LAYERS):
            self.network.append(modules.GLOWCouplingBlock, subnet_constructor=subnetwork, clamp=2.0)
            self.network.append(modules.PermuteRandom, seed=seed)

    def fit(self, x: Tensor, y: Tensor, seconds: float) -> int:
        """Train by the losses and weights of `pushforward.inference.Bidirectional`; return the steps."""
        self.x_moments, self.y_moments = ((rows.mean(0), rows.std(0)) for rows in (x, y))
        x, y = _standard(x, self.x_moments), _standard(y, self.y_moments)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=RATE)
        start, steps = time.monotonic(), 0
        while (done := (time.monotonic() - start) / seconds) < 1:
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * done)).item())
            rows = torch.randint(len(x), (BATCH,))
            loss = self._loss(x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
            optimizer.step()
            steps += 1
        return steps

    def posterior(self, y: Tensor) -> Draws:
        """Draws ``(n, N, 4)`` at observations."""
        location, scale = self.x_moments
        standard = _standard(y, self.y_moments)

        def draw(count: int) -> Tensor:
            with torch.no_grad():
                outputs = torch.cat([standard.repeat(count, 1), torch.randn(count * len(y), 2)], 1)
                return (self.network(outputs, rev=True)[0] * scale + location).view(count, len(y), 4)

        return Draws(draw)

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        outputs = self.network(x)[0]
        found, latent = outputs.split(2, 1)
        kernel = InverseMultiquadric()
        independent = torch.cat([y, torch.randn_like(latent)], 1)
        forward = (found - y).square().sum(1).mean()
        latents = maximum_mean_discrepancy(torch.cat([found.detach(), latent], 1), independent, kernel)
        noisy = y + NOISE * torch.randn_like(y)
        drawn = self.network(torch.cat([noisy, torch.randn_like(latent)], 1), rev=True)[0]
        back = self.network(torch.cat([noisy, latent], 1), rev=True)[0]
        parameters = maximum_mean_discrepancy(drawn, x, kernel)
        return 10 * (forward + latents + parameters) + (back - x).square().sum(1).mean()


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train all for ``seconds`` each and measure them at the same observations."""
    budget = seconds or SECONDS
    problem = InverseKinematics()
    torch.manual_seed(0)
    x, y = problem.sample(ROWS)
    measure = Measurement(problem)
    freia = FreiaNetwork()
    steps = freia.fit(x, y, budget)
    theirs = {"steps": float(steps), **measure(freia)}
    rows: list[dict[str, object]] = []
    for name, solver in _ours().items():
        torch.manual_seed(0)
        result = solver.fit(x, y, max_time=budget, batch_size=BATCH, learning_rate=RATE, seed=0, progress=False)
        for what, value in {"steps": float(result.steps), **measure(solver)}.items():
            rows.append({"what": f"{name}: {what}", "ours": value, "other": theirs[what], "asked": ASKED[what]})
    return rows


def _ours() -> dict[str, InverseSolver]:
    sizes: dict[str, Any] = {"layers": LAYERS, "hidden": HIDDEN}
    torch.manual_seed(0)
    return {
        "INN, both directions": InvertibleNetwork(4, 2, noise=NOISE, **sizes),
        "INN, likelihood": InvertibleNetwork(4, 2, noise=NOISE, objective=NarrowingLikelihood(steps=NARROWED), **sizes),
        "conditional INN": ConditionalInvertibleNetwork(4, 2, scalar=pf.scalar.RationalQuadraticSpline(), **sizes),
    }


class Measurement:
    """How wrong posteriors of a problem with continuous observations are, at the same observations for all."""

    def __init__(self, problem: InverseProblem) -> None:
        self.problem = problem
        self.true, self.observed = problem.sample(TRUE)
        self.references = [
            rejection_sample(problem.sample, each, KEPT, simulations=TRIED)[0] for each in self.observed[:OBSERVATIONS]
        ]

    def __call__(self, solver: Any) -> dict[str, float]:
        torch.manual_seed(1)
        drawn = solver.posterior(self.observed[:OBSERVATIONS]).sample(torch.Size([KEPT]))
        errors = [pf.diagnostics.mmd(drawn[:, i], each, permutations=1).value for i, each in enumerate(self.references)]
        calibrated = calibration(solver, self.true, self.observed, draws=200)
        return {
            "posterior error": sum(errors) / len(errors),
            "re-simulation error": resimulation_error(solver, self.problem.simulate, self.observed[:500], draws=100),
            "calibration error": calibrated.error,
            "calibration error, worst parameter": calibrated.error_per_parameter.max().item(),
        }


def _standard(rows: Tensor, moments: tuple[Tensor, Tensor]) -> Tensor:
    return (rows - moments[0]) / moments[1]
