"""Six simulators whose posteriors are known: how near ours come, beside the published figures and beside sbi.

C2ST, the mean over observations (0.5: not to be told from the reference), of NPE, TSNPE and SNLE, with the reference
posteriors of the package sbibm 1.1.0 (`pip install --no-deps --target /tmp/sbibm sbibm==1.1.0`; SBIBM names another
folder). The published figures are of Lueckmann et al. (2021), arXiv:2101.04653. `setup_sbi()` puts sbi into an
environment of its own, where it runs on the same simulations; without it those rows are left out.
"""

from __future__ import annotations

import bz2
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward.diagnostics import c2st
from pushforward.inference import NLE, NPE, simulate, simulate_in_rounds
from pushforward.inference.simulation.tasks import TASKS

SBIBM = Path(os.environ.get("SBIBM", "/tmp/sbibm"))
SBI = Path(__file__).resolve().parents[2] / "build" / "benchmark-sbi"
SAMPLES = 10_000
PUBLISHED = {
    "two_moons": (0.725, 0.606),
    "slcp": (0.975, 0.901),
    "gaussian_linear": (0.694, 0.552),
    "gaussian_linear_uniform": (0.696, 0.553),
    "gaussian_mixture": (0.716, 0.615),
    "bernoulli_glm": (0.863, 0.678),
}
"""NPE's at 1,000 and 10,000 simulations."""
SEQUENTIAL = {
    "two_moons": {"TSNPE": ("sequential NPE", 0.554)},
    "slcp": {"TSNPE": ("sequential NPE", 0.845), "SNLE": ("NLE", 0.771)},
}
"""The best published ones at 10,000 simulations, beside which ours are shown."""

Row = dict[str, object]


def run(seconds: float | None, data: Path) -> list[Row]:
    """All rows; with ``seconds`` for each training and one observation of each task in place of ten."""
    torch.manual_seed(0)
    observations = range(1, 11) if seconds is None else range(1, 2)
    rows: list[Row] = []
    for name in TASKS:
        rows += _npe(name, observations, seconds)
    for name, methods in SEQUENTIAL.items():
        rows += [_in_rounds(name, method, *against, observations, seconds) for method, against in methods.items()]
    for name in ("two_moons", "slcp"):
        rows += _beside_sbi(name, observations, seconds)
    return [*rows, *_without_leakage(seconds)]


def observation(name: str, number: int) -> tuple[Tensor, Tensor]:
    """An observation of a task, and the samples of its reference posterior."""
    folder = SBIBM / "sbibm" / "tasks" / name / "files" / f"num_observation_{number}"
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: pip install --no-deps --target {SBIBM} sbibm==1.1.0")
    samples = bz2.decompress((folder / "reference_posterior_samples.csv.bz2").read_bytes())
    return _numbers((folder / "observation.csv").read_bytes())[0], _numbers(samples)[:SAMPLES]


def setup_sbi() -> None:
    """An environment with sbi beside this one, which shares its packages."""
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(SBI)], check=True)
    subprocess.run([str(SBI / "bin" / "pip"), "install", "-q", "sbi==0.27.0"], check=True)


def _numbers(content: bytes) -> Tensor:
    return torch.from_numpy(np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1, ndmin=2, dtype=np.float32))


def _npe(name: str, observations: range, seconds: float | None) -> list[Row]:
    task, rows = TASKS[name](), []
    for count, published in zip((1000, 10_000), PUBLISHED[name]):
        pairs = simulate(task, task.prior, count, seed=count, progress=False)
        began = time.perf_counter()
        inference = NPE(task.prior).append_simulations(*pairs).fit(max_time=seconds, seed=0, progress=False)
        took = time.perf_counter() - began
        score = np.mean([_score(inference, name, number) for number in observations])
        rows.append(
            _row(f"{name}, NPE, {count:,} simulations, C2ST ({took:.0f} s)", score, published, "below published")
        )
    return rows


def _in_rounds(name: str, method: str, other: str, published: float, observations: range, seconds: float | None) -> Row:
    task, rounds = TASKS[name](), 5
    scores = []
    for number in observations:
        x, reference = observation(name, number)
        inference = NPE(task.prior) if method == "TSNPE" else NLE(task.prior, "nsf", hidden=64)
        options = {"members": 1, "max_time": None if seconds is None else seconds / rounds}
        simulate_in_rounds(
            inference, task, x, rounds=rounds, simulations=10_000 // rounds, seed=number, progress=False, **options
        )
        scores.append(c2st(inference.posterior(x).sample((len(reference),)), reference).value)
    what = f"{name}, {method}, 10,000 simulations in {rounds} rounds, C2ST (published: {other})"
    return _row(what, np.mean(scores), published, "below published")


def _score(inference: NPE, name: str, number: int) -> float:
    x, reference = observation(name, number)
    return c2st(inference.posterior(x).sample((len(reference),)), reference).value


def _beside_sbi(name: str, observations: range, seconds: float | None) -> list[Row]:
    """NPE of sbi, with its defaults, on the same simulations."""
    if not SBI.exists():
        return [{"what": f"{name} beside sbi", "ours": "not run", "other": None, "asked": "setup_sbi() first"}]
    task = TASKS[name]()
    theta, x = simulate(task, task.prior, 10_000, seed=10_000, progress=False)
    began = time.perf_counter()
    inference = NPE(task.prior).append_simulations(theta, x).fit(max_time=seconds, seed=0, progress=False)
    took = time.perf_counter() - began
    mine, mine_sampling = [], []
    for number in observations:
        seen, reference = observation(name, number)
        posterior = inference.posterior(seen)
        began = time.perf_counter()
        samples = posterior.sample((SAMPLES,))
        mine_sampling.append(time.perf_counter() - began)
        mine.append(c2st(samples[: len(reference)], reference).value)
    observed = torch.stack([observation(name, number)[0] for number in observations])
    theirs = _sbi(theta, x, observed, float(task.prior.base_dist.high[0]))
    references = [observation(name, number)[1] for number in observations]
    scores = [c2st(samples[: len(kept)], kept).value for samples, kept in zip(theirs["samples"], references)]
    return [
        _row(f"{name}, NPE beside sbi, C2ST", np.mean(mine), np.mean(scores), "at least as good"),
        _row(f"{name}, NPE beside sbi, training s", took, theirs["training"], "at most half"),
        _row(f"{name}, 10,000 samples, s", np.median(mine_sampling), theirs["sampling"], "under 0.1"),
    ]


_SBI_CODE = """
import sys, time, numpy as np, torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
torch.set_num_threads(int(sys.argv[3]))
given = {name: torch.from_numpy(value) for name, value in np.load(sys.argv[1]).items()}
features = given["theta"].shape[1]
bound = float(sys.argv[4]) * torch.ones(features)
inference = NPE(BoxUniform(-bound, bound), show_progress_bars=False)
began = time.perf_counter()
inference.append_simulations(given["theta"], given["x"]).train()
training = time.perf_counter() - began
posterior = inference.build_posterior()
times, samples = [], []
for x in given["observed"]:
    began = time.perf_counter()
    samples.append(posterior.sample((10_000,), x=x, show_progress_bars=False).numpy())
    times.append(time.perf_counter() - began)
np.savez(sys.argv[2], samples=np.stack(samples), training=training, sampling=np.median(times))
"""


def _sbi(theta: Tensor, x: Tensor, observed: Tensor, bound: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, theta=theta.numpy(), x=x.numpy(), observed=observed.numpy())
        arguments = [str(given), str(found), str(torch.get_num_threads()), str(bound)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([str(SBI / "bin" / "python"), "-c", _SBI_CODE, *arguments], check=True, env=environment)
        with np.load(found) as loaded:
            return {
                "samples": torch.from_numpy(loaded["samples"]),
                "training": float(loaded["training"]),
                "sampling": float(loaded["sampling"]),
            }


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


def _row(what: str, ours: float, other: float | object, asked: str) -> Row:
    return {"what": what, "ours": float(f"{float(ours):.4g}"), "other": float(f"{float(other):.4g}"), "asked": asked}  # type: ignore[arg-type]


if __name__ == "__main__":
    warnings.simplefilter("default")
    print(json.dumps(run(float(sys.argv[1]) if len(sys.argv) > 1 else None, Path("../shared/data")), indent=1))
