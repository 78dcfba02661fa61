"""The work of ``pushforward infer``: read simulations, learn the posterior, draw it, and test it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.export import write_events
from pushforward.data.table_files import TableFile
from pushforward.data.tables import numeric
from pushforward.diagnostics.posteriors import (
    Coverage,
    LocalTest,
    Misspecification,
    RankCalibration,
    expected_coverage,
    local_c2st,
    misspecification,
    sbc,
    tarp,
)
from pushforward.errors import DataError, UsageError
from pushforward.files import make_folder
from pushforward.flows.flow import Flow
from pushforward.flows.saving import MODEL, save

SAMPLES, REPORT = "samples.csv", "report.html"
FILES = (MODEL, SAMPLES, REPORT)
#: Fewer simulations teach nothing and leave none to calibrate with.
FEWEST = 100
_VALIDATION = 0.1
_PATIENCE = 20
_MOST_SIMULATED = 1000


@dataclass(frozen=True)
class Request:
    """What the command line asks for; names and numbers as its options have them."""

    simulations: str
    parameters: tuple[str, ...]
    observations: tuple[str, ...]
    observed: Path | None
    row: int
    draws: int
    held_out: int
    max_time: str
    max_steps: int | None
    seed: int


@dataclass(frozen=True)
class Simulations:
    """Parameters and what was simulated with them.

    Attributes:
        theta: ``(N, D)``.
        x: ``(N, F)``.
        parameters, observations: the names of their columns.
    """

    theta: Tensor
    x: Tensor
    parameters: tuple[str, ...]
    observations: tuple[str, ...]

    def at(self, rows: Tensor) -> Simulations:
        """Some of them."""
        return Simulations(self.theta[rows], self.x[rows], self.parameters, self.observations)


@dataclass(frozen=True)
class Tests:
    """What tells whether to believe a posterior; the last two are of the observation alone."""

    calibration: RankCalibration
    coverage: Coverage
    random_points: Coverage
    local: LocalTest
    misspecification: Misspecification

    def named(self) -> dict[str, Any]:
        """All of them by the names that people are told."""
        return {name.replace("_", " "): result for name, result in vars(self).items()}


@dataclass(frozen=True)
class Inference:
    """What came of it.

    Attributes:
        training, held_out: the simulations that were learned from and those that the tests were made with.
        draws: of the posterior, ``(n, D)``.
        truth: the parameters of the observation, where they are known.
        tests: what they say.
    """

    training: Simulations
    held_out: Simulations
    draws: Tensor
    truth: Tensor | None
    tests: Tests

    def summary(self) -> list[tuple[str, float, float, float, float]]:
        """Each parameter's name, mean, deviation, and 5 and 95 % quantiles."""
        values = self.draws.double()
        low, high = values.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
        columns = [each.tolist() for each in (values.mean(0), values.std(0), low, high)]
        return list(zip(self.training.parameters, *columns, strict=True))

    def facts(self) -> dict[str, Any]:
        """What came out, for programs."""
        posterior = {name: dict(zip(("mean", "deviation", "q5", "q95"), row)) for name, *row in self.summary()}
        return {
            "simulations": len(self.training.theta),
            "held_out": len(self.held_out.theta),
            "posterior": posterior,
            "p_values": {name: result.p_value for name, result in self.tests.named().items()},
        }


def infer_posterior(request: Request, out: Path, progress: bool) -> Inference:
    """Learn, draw and test; the model and the draws are left in the folder ``out``.

    Raises:
        DataError: a table cannot be read, misses a column, or has too few rows.
        UsageError: no columns are left to infer from, or there is no such row.
        FileError: the folder cannot be written.
    """
    simulations = read_simulations(request)
    observed, truth = observation(request, simulations)
    make_folder(out)
    training, held_out = divide(simulations, request, truth is not None)
    posterior = learn_posterior(training, request, progress)
    torch.manual_seed(request.seed)
    drawn = posterior.sample(request.draws, observed)
    save(posterior, out / MODEL)
    write_events(out / SAMPLES, drawn, columns=simulations.parameters)
    return Inference(training, held_out, drawn, truth, diagnose(posterior, held_out, observed, request.seed))


def learn_posterior(simulations: Simulations, request: Request, progress: bool) -> Flow:
    """A neural posterior, ``q(theta | x)``, of pairs of the prior and the simulator."""
    from pushforward.models import nsf
    from pushforward.training import fit

    theta, x = simulations.theta, simulations.x
    torch.manual_seed(request.seed)
    flow = nsf(features=theta.shape[1], context=x.shape[1])
    held = max(1, round(_VALIDATION * len(theta)))
    fit(
        flow,
        (theta[held:], x[held:]),
        (theta[:held], x[:held]),
        max_time=request.max_time,
        max_steps=request.max_steps,
        patience=_PATIENCE,
        seed=request.seed,
        progress=progress,
    )
    return flow


def diagnose(posterior: Flow, held_out: Simulations, observed: Tensor, seed: int) -> Tests:
    """Test the posterior on simulations that it has not seen, and at the observation."""
    theta, x = held_out.theta, held_out.x
    return Tests(
        sbc(posterior, theta, x, seed=seed),
        expected_coverage(posterior, theta, x, seed=seed),
        tarp(posterior, theta, x, seed=seed),
        local_c2st(posterior, theta, x, observed, seed=seed),
        misspecification(observed[None], x[:_MOST_SIMULATED], seed=seed),
    )


def read_simulations(request: Request) -> Simulations:
    """Read the table of simulations."""
    from pushforward.cli.scoring import opened

    table = opened(request.simulations)
    others = request.observations or tuple(name for name in table.names if name not in request.parameters)
    shared = set(request.parameters) & set(others)
    if not request.parameters or not others or shared:
        raise UsageError(
            f"{request.simulations}: expected columns of parameters and others of observations, got parameters "
            f"{', '.join(request.parameters)} and observations {', '.join(others) or 'none'}"
        )
    theta, x = _numbers(table, request.parameters), _numbers(table, others)
    if len(theta) < FEWEST:
        raise DataError(f"{request.simulations}: expected at least {FEWEST} simulations, got {len(theta)}")
    return Simulations(theta, x, request.parameters, others)


def observation(request: Request, simulations: Simulations) -> tuple[Tensor, Tensor | None]:
    """What was observed, and the true parameters where a simulation stands in its place."""
    from pushforward.cli.scoring import opened

    if request.observed is None:
        _check_row(request.simulations, request.row, len(simulations.x))
        return simulations.x[request.row], simulations.theta[request.row]
    x = _numbers(opened(request.observed), simulations.observations)
    _check_row(request.observed, request.row, len(x))
    return x[request.row], None


def divide(simulations: Simulations, request: Request, simulated: bool) -> tuple[Simulations, Simulations]:
    """Simulations to learn from and others to calibrate with, neither of them the row that is taken for observed."""
    order = torch.from_numpy(np.random.default_rng(request.seed).permutation(len(simulations.theta)))
    order = order[order != request.row] if simulated else order
    held_out = min(request.held_out, len(order) // 5)
    return simulations.at(order[held_out:]), simulations.at(order[:held_out])


def _numbers(table: TableFile, columns: tuple[str, ...]) -> Tensor:
    return torch.from_numpy(numeric(table.path, table.choose(columns).read(), columns, np.float64))


def _check_row(source: object, row: int, count: int) -> None:
    if row >= count:
        raise UsageError(f"{source}: expected --row below {count}, its number of rows, got {row}")
