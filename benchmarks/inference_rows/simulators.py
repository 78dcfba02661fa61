"""Six simulators whose posteriors are known: how near ours come, beside the published figures and beside sbi.

C2ST, the mean over observations (0.5: not to be told from the reference), of NPE, TSNPE and SNLE, with the reference
posteriors of the package sbibm 1.1.0 (`pip install --no-deps --target /tmp/sbibm sbibm==1.1.0`; SBIBM names another
folder). The published figures are of Lueckmann et al. (2021), arXiv:2101.04653. Every training and every test is a job
of one thread, as many at a time as there are processors (or JOBS says), and what is done is printed as it comes; after
LIMIT seconds none begins any more. OBSERVATIONS of each task may be fewer than the ten that are published.
`setup_sbi()` of `beside_sbi.py` puts sbi into an environment of its own, where it runs on the same simulations; without
it those lines are left out.
"""

from __future__ import annotations

import bz2
import io
import os
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import beside_sbi
import numpy as np
import torch
from jobs import Job, Jobs
from torch import Tensor

from pushforward.diagnostics import c2st
from pushforward.inference import NLE, NPE, simulate, simulate_in_rounds
from pushforward.inference.simulation.tasks import TASKS

SBIBM = Path(os.environ.get("SBIBM", "/tmp/sbibm"))
OBSERVATIONS = int(os.environ.get("OBSERVATIONS", "10"))
SAMPLES, ROUNDS = 10_000, 4
PUBLISHED = {
    ("two_moons", "NPE", 1_000): 0.725,
    ("two_moons", "NPE", 10_000): 0.606,
    ("two_moons", "TSNPE", 10_000): 0.554,
    ("slcp", "NPE", 1_000): 0.975,
    ("slcp", "NPE", 10_000): 0.901,
    ("slcp", "TSNPE", 10_000): 0.845,
    ("slcp", "SNLE", 10_000): 0.771,
    ("gaussian_linear", "NPE", 1_000): 0.694,
    ("gaussian_linear", "NPE", 10_000): 0.552,
    ("gaussian_linear_uniform", "NPE", 1_000): 0.696,
    ("gaussian_linear_uniform", "NPE", 10_000): 0.553,
    ("gaussian_mixture", "NPE", 1_000): 0.716,
    ("gaussian_mixture", "NPE", 10_000): 0.615,
    ("bernoulli_glm", "NPE", 1_000): 0.863,
    ("bernoulli_glm", "NPE", 10_000): 0.678,
}
"""Task, our method and simulations, with the published figure: NPE's, and of ours in rounds the best one, which is
sequential NPE's on two moons, and on SLCP sequential NPE's and NLE's."""

# What begins first: all trainings whose tests follow, then all that is of the first observation, and so on, so that a
# run that is cut has seen as many of each. Added to an observation's number:
_LATER = {("slcp", "SNLE"): 0.5, ("two_moons", "TSNPE"): 0.6, ("slcp", "TSNPE"): 0.7}

Row = dict[str, object]
Case = tuple[str, str, int]


def run(seconds: float | None, data: Path) -> list[Row]:
    """All rows; with ``seconds`` for each training, and then one observation of each task in place of ten.

    Where seconds are named the tests compare 1000 samples too: it is a trial, whose figures mean nothing.
    """
    numbers = range(1, 1 + (OBSERVATIONS if seconds is None else 1))
    # Beside sbi alone on the machine, as times are compared.
    rows = [row for name in beside_sbi.TASKS for row in _beside(name, numbers, seconds)]
    jobs = Jobs()
    for name, method, count in PUBLISHED:
        if method == "NPE":
            jobs.add(0, _npe, name, count, numbers, seconds)
        else:
            for number in numbers:
                jobs.add(number + _LATER[name, method], _in_rounds, name, method, count, number, seconds)
    jobs.add(0, _without_leakage, seconds)
    return rows + _collected(jobs, seconds)


def observation(name: str, number: int) -> tuple[Tensor, Tensor]:
    """An observation of a task, and the samples of its reference posterior."""
    folder = SBIBM / "sbibm" / "tasks" / name / "files" / f"num_observation_{number}"
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: pip install --no-deps --target {SBIBM} sbibm==1.1.0")
    samples = bz2.decompress((folder / "reference_posterior_samples.csv.bz2").read_bytes())
    return _numbers((folder / "observation.csv").read_bytes())[0], _numbers(samples)[:SAMPLES]


def compared(samples: Tensor, reference: Tensor, seconds: float | None) -> float:
    """C2ST, of all samples where training had all of its time."""
    count = len(reference) if seconds is None else 1_000
    return c2st(samples[:count], reference[:count]).value


def _numbers(content: bytes) -> Tensor:
    return torch.from_numpy(np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1, ndmin=2, dtype=np.float32))


def _collected(jobs: Jobs, seconds: float | None) -> list[Row]:
    """Run the jobs and the tests that they ask for; a line for each that ends, a row for each case."""
    scores: dict[Case, list[float]] = defaultdict(list)
    training: dict[Case, float] = {}
    rows: list[Row] = []
    began = time.perf_counter()
    for job, result in jobs:
        if result is None:
            continue
        if job.function is _without_leakage:
            rows += result
            continue
        case = _case(job)
        if job.function is _npe:
            training[case], samples = result
            _tell(began, case, f"trained in {training[case]:.0f} s")
            for number, drawn in samples.items():
                jobs.add(number, _test, *case, number, drawn, seconds)
        else:
            scores[case].append(result)
            _tell(began, case, f"C2ST {result:.3f}, mean {np.mean(scores[case]):.3f} of {len(scores[case])}")
    return [_scored(case, scores[case], training.get(case)) for case in PUBLISHED if scores[case]] + rows


def _case(job: Job) -> Case:
    if job.function is _npe:
        name, count = job.arguments[:2]
        return name, "NPE", count
    return job.arguments[:3]  # type: ignore[return-value]


def _tell(began: float, case: Case, what: str) -> None:
    name, method, count = case
    print(f"{time.perf_counter() - began:6.0f} s  {name}, {method}, {count:,} simulations: {what}", flush=True)


def _scored(case: Case, scores: list[float], training: float | None) -> Row:
    name, method, count = case
    took = "" if training is None else f", trained in {training:.0f} s"
    what = f"{name}, {method}, {count:,} simulations: C2ST of {len(scores)} observations{took}"
    return _row(what, float(np.mean(scores)), PUBLISHED[case], "below published")


def _npe(name: str, count: int, numbers: range, seconds: float | None) -> tuple[float, dict[int, np.ndarray]]:
    """Seconds of the training, and samples for each observation."""
    took, inference = _trained(name, count, seconds)
    draw = {number: inference.posterior(observation(name, number)[0]).sample((SAMPLES,)) for number in numbers}
    return took, {number: samples.numpy() for number, samples in draw.items()}


def _trained(name: str, count: int, seconds: float | None, members: int | None = None) -> tuple[float, NPE]:
    task = TASKS[name]()
    pairs = simulate(task, task.prior, count, seed=count, progress=False)
    began = time.perf_counter()
    inference = NPE(task.prior).append_simulations(*pairs)
    inference.fit(members=members, max_time=seconds, seed=0, progress=False)
    return time.perf_counter() - began, inference


def _test(name: str, method: str, count: int, number: int, samples: np.ndarray, seconds: float | None) -> float:
    return compared(torch.from_numpy(samples), observation(name, number)[1], seconds)


def _in_rounds(name: str, method: str, count: int, number: int, seconds: float | None) -> float:
    task = TASKS[name]()
    x, reference = observation(name, number)
    torch.manual_seed(number)
    inference = NPE(task.prior) if method == "TSNPE" else NLE(task.prior)
    options: dict[str, Any] = {"members": 1, "max_time": None if seconds is None else seconds / ROUNDS}
    simulate_in_rounds(
        inference, task, x, rounds=ROUNDS, simulations=count // ROUNDS, seed=number, progress=False, **options
    )
    return compared(inference.posterior(x).sample((len(reference),)), reference, seconds)


def _beside(name: str, numbers: range, seconds: float | None) -> list[Row]:
    """NPE of sbi, with its defaults, on the same simulations; ours with a single flow, as sbi's."""
    if not beside_sbi.FOLDER.exists():
        return [{"what": f"{name} beside sbi", "ours": "not run", "other": None, "asked": "setup_sbi() first"}]
    task = TASKS[name]()
    took, inference = _trained(name, 10_000, seconds, members=1)
    seen = [observation(name, number) for number in numbers]
    mine, times = [], []
    for x, _ in seen:
        posterior = inference.posterior(x)
        began = time.perf_counter()
        mine.append(posterior.sample((SAMPLES,)))
        times.append(time.perf_counter() - began)
    pairs = simulate(task, task.prior, 10_000, seed=10_000, progress=False)
    theirs = beside_sbi.npe(*pairs, torch.stack([x for x, _ in seen]), float(task.prior.base_dist.high[0]))
    ours, other = (
        np.mean([compared(samples, reference, seconds) for samples, (_, reference) in zip(drawn, seen)])
        for drawn in (mine, theirs.samples)
    )
    return [
        _row(f"{name}, NPE beside sbi, C2ST", float(ours), float(other), "at least as good"),
        _row(f"{name}, NPE beside sbi, training s", took, theirs.training, "at most half"),
        _row(f"{name}, 10,000 samples, s", float(np.median(times)), theirs.sampling, "under 0.1"),
    ]


def _without_leakage(seconds: float | None) -> list[Row]:
    """A posterior at the corner of its prior, where a flow on the reals puts most of its mass outside."""
    task = TASKS["gaussian_linear_uniform"]()
    corner = torch.full((10,), 1.3)
    pairs = simulate(task, task.prior, 10_000, seed=3, progress=False)
    inference = NPE(task.prior).append_simulations(*pairs).fit(members=1, max_time=seconds, seed=0, progress=False)
    posterior = inference.posterior(corner)
    began = time.perf_counter()
    samples = posterior.sample((SAMPLES,))
    took = time.perf_counter() - began
    inside = (samples.abs() <= 1).all(-1).float().mean().item()
    # Of the unbounded posterior N(x, 0.1 I) the share inside of the prior: what rejection would accept.
    edges = torch.special.ndtr((torch.tensor([1.0, -1.0]) - 1.3) / 0.1**0.5)
    accepted = (edges[0] - edges[1]).item() ** 10
    return [
        _row("corner of the prior, share of samples inside (other: what rejection accepts)", inside, accepted, "1"),
        {"what": "corner of the prior, 10,000 samples, s", "ours": round(took, 3), "other": None, "asked": "under 0.1"},
    ]


def _row(what: str, ours: float, other: float, asked: str) -> Row:
    return {"what": what, "ours": float(f"{ours:.4g}"), "other": float(f"{other:.4g}"), "asked": asked}


warnings.filterwarnings("ignore", message=".*Stochastic Optimizer: Maximum iterations.*")
