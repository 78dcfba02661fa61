"""The work of ``pushforward infer``: read simulations, learn the posterior, draw it, and test it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.cli.bounds import Bounds
from pushforward.cli.configuration import INFERENCE
from pushforward.cli.inference_request import Request
from pushforward.cli.simulation_table import Simulations, check_row, read_observation, read_simulations
from pushforward.cli.terminal import say
from pushforward.data.export import write_events
from pushforward.diagnostics.posteriors import (
    Coverage,
    LocalTest,
    Misspecification,
    PredictiveCheck,
    RankCalibration,
    expected_coverage,
    local_c2st,
    misspecification,
    posterior_predictive,
    sbc,
    tarp,
)
from pushforward.errors import DataError
from pushforward.files import make_folder
from pushforward.flows.saving import MODEL, load, save
from pushforward.inference import NPE, AmortisedPosterior, PriorDraws

SAMPLES, REPORT = "samples.csv", "report.html"
FILES = (MODEL, SAMPLES, REPORT, INFERENCE)
_MOST_SIMULATED = 1000
_PREDICTED = 500


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
        bounds: of the posterior.
        draws: of it, ``(n, D)``.
        truth: the parameters of the observation, where they are known.
        tests: what they say.
        predictive: what the posterior's parameters give; None where a value is missing, and nothing can be compared.
    """

    training: Simulations
    held_out: Simulations
    bounds: Bounds
    draws: Tensor
    truth: Tensor | None
    tests: Tests
    predictive: PredictiveCheck | None

    def summary(self) -> list[tuple[str, float, float, float, float]]:
        """Each parameter's name, mean, deviation, and 5 and 95 % quantiles."""
        values = self.draws.double()
        low, high = values.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
        columns = [each.tolist() for each in (values.mean(0), values.std(0), low, high)]
        return list(zip(self.training.parameters, *columns, strict=True))

    def facts(self) -> dict[str, Any]:
        """What came out, for programs; no bound is null, as JSON knows no infinity."""
        bounds = {
            name: [side if math.isfinite(side) else None for side in sides] for name, *sides in self.bounds.named()
        }
        posterior = {name: dict(zip(("mean", "deviation", "q5", "q95"), row)) for name, *row in self.summary()}
        return {
            "simulations": len(self.training.theta),
            "held_out": len(self.held_out.theta),
            "bounds": bounds,
            "posterior": posterior,
            "p_values": {name: result.p_value for name, result in self.tests.named().items()},
        }


def infer_posterior(request: Request, out: Path, progress: bool) -> Inference:
    """Learn, draw and test; the model and the draws are left in the folder ``out``.

    Raises:
        DataError: a table cannot be read, misses a column, or holds what is none of simulations.
        UsageError: no columns are left to infer from, or there is no such row.
        FileError: the folder cannot be written.
    """
    simulations, bounds, observed, truth = _read(request)
    make_folder(out)
    training, held_out = divide(simulations, request, truth is not None)
    posterior = learn_posterior(training, bounds, request, progress)
    torch.manual_seed(request.seed)
    drawn = posterior.sample(request.draws, observed)
    save(posterior, out / MODEL)
    write_events(out / SAMPLES, drawn, columns=simulations.parameters)
    request.write(out)
    say(f"Testing the posterior on {len(held_out.theta)} simulations that were held out", quiet=not progress)
    return _tested(posterior, request, training, held_out, bounds, drawn, observed, truth)


def infer_again(out: Path, say: Callable[[str], None]) -> tuple[Request, Inference]:
    """What `infer_posterior` left in a folder: what was asked for, and the posterior drawn and tested again.

    Raises:
        CheckpointError: there is no such folder, or a file is damaged.
        DataError: the simulations are no longer where they were.
    """
    request = Request.read(out)
    simulations, bounds, observed, truth = _read(request)
    training, held_out = divide(simulations, request, truth is not None)
    posterior = load(out / MODEL)
    torch.manual_seed(request.seed)
    drawn = posterior.sample(request.draws, observed)
    say(f"Testing the posterior on {len(held_out.theta)} simulations that were held out")
    return request, _tested(posterior, request, training, held_out, bounds, drawn, observed, truth)


def _read(request: Request) -> tuple[Simulations, Bounds, Tensor, Tensor | None]:
    """The simulations, the posterior's bounds, what was observed and its true parameters where they are known."""
    simulations = read_simulations(request.simulations, request.parameters, request.observations)
    return simulations, bounds_of(simulations, request), *observation(request, simulations)


def _tested(
    posterior: AmortisedPosterior,
    request: Request,
    training: Simulations,
    held_out: Simulations,
    bounds: Bounds,
    drawn: Tensor,
    observed: Tensor,
    truth: Tensor | None,
) -> Inference:
    """A posterior's draws with what tests say of it."""
    tests = diagnose(posterior, held_out, observed, request.seed)
    predictive = predict(posterior, training, observed, request.seed)
    return Inference(training, held_out, bounds, drawn, truth, tests, predictive)


def predict(
    posterior: AmortisedPosterior, simulations: Simulations, observed: Tensor, seed: int
) -> PredictiveCheck | None:
    """Compare the observation with what the posterior's parameters give.

    There is no simulator here: for each draw stands that simulation of the table whose parameters are nearest, in units
    of the prior's deviations.
    """
    if bool(torch.isnan(simulations.x).any() | torch.isnan(observed).any()):
        return None
    scale = simulations.theta.std(0)
    known = simulations.theta / scale

    def nearest(theta: Tensor) -> Tensor:
        return simulations.x[torch.cdist(theta.to(known) / scale, known).argmin(1)]

    return posterior_predictive(posterior, nearest, observed, draws=_PREDICTED, seed=seed)


def bounds_of(simulations: Simulations, request: Request) -> Bounds:
    """Those that were given, and of other parameters those of the table.

    Raises:
        DataError: if a simulation is beyond one that was given.
    """
    given = [request.bounds.get(name, (torch.nan, torch.nan)) for name in simulations.parameters]
    low, high = (torch.tensor([bound[side] for bound in given], dtype=simulations.theta.dtype) for side in (0, 1))
    beyond = (simulations.theta < low) | (simulations.theta > high)
    if bool(beyond.any()):
        row, place = beyond.nonzero()[0].tolist()
        raise DataError(
            f"{request.simulations}: expected {simulations.parameters[place]!r} from {low[place]:g} to "
            f"{high[place]:g}, the bounds that were given, got {simulations.theta[row, place]:g} in row {row}"
        )
    prior = PriorDraws(simulations.theta, low, high)
    return Bounds(simulations.parameters, prior.low, prior.high, frozenset(request.bounds))


def learn_posterior(simulations: Simulations, bounds: Bounds, request: Request, progress: bool) -> AmortisedPosterior:
    """A neural posterior, ``q(theta | x)``, of pairs of the prior and the simulator."""
    estimator = NPE(PriorDraws(simulations.theta, bounds.low, bounds.high))
    estimator.append_simulations(simulations.theta, simulations.x)
    estimator.fit(
        members=request.members,
        max_steps=request.max_steps,
        max_time=request.max_time,
        seed=request.seed,
        progress=progress,
    )
    return estimator.amortised()


def diagnose(posterior: AmortisedPosterior, held_out: Simulations, observed: Tensor, seed: int) -> Tests:
    """Test the posterior on simulations that it has not seen, and at the observation."""
    theta, x = held_out.theta, held_out.x
    return Tests(
        sbc(posterior, theta, x, seed=seed),
        expected_coverage(posterior, theta, x, seed=seed),
        tarp(posterior, theta, x, seed=seed),
        local_c2st(posterior, theta, x, observed, seed=seed),
        misspecification(observed[None], x[:_MOST_SIMULATED], summary=posterior.observations, seed=seed),
    )


def observation(request: Request, simulations: Simulations) -> tuple[Tensor, Tensor | None]:
    """What was observed, and the true parameters where a simulation stands in its place."""
    if request.observed is not None:
        return read_observation(request.observed, request.row, simulations.observations), None
    check_row(request.simulations, request.row, len(simulations.x))
    return simulations.x[request.row], simulations.theta[request.row]


def divide(simulations: Simulations, request: Request, simulated: bool) -> tuple[Simulations, Simulations]:
    """Simulations to learn from and others to calibrate with, neither of them the row that is taken for observed."""
    order = torch.from_numpy(np.random.default_rng(request.seed).permutation(len(simulations.theta)))
    order = order[order != request.row] if simulated else order
    held_out = min(request.held_out, len(order) // 5)
    return simulations.at(order[held_out:]), simulations.at(order[:held_out])
