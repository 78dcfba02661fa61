"""Flows of vectors against zuko, nflows, normflows and FlowJAX: the same work, in one run, in turn.

    python benchmarks/vectors.py setup                        # once: FlowJAX into an environment of its own
    python benchmarks/vectors.py speed                        # training step, log-density, sampling
    python benchmarks/vectors.py --threads 1 speed --clock cpu   # in processor time, for busy machines
    python benchmarks/vectors.py compile                      # the first compiled training step, nothing cached
    python benchmarks/vectors.py tables --data FOLDER         # kin40k, skillcraft, elevators: likelihood and time
    python benchmarks/vectors.py densities --seconds 180      # KL from known densities

Each prints a table and writes build/vectors-NAME.json. zuko, nflows and normflows: pip install -e '.[benchmark]'.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pushforward as pf

ROOT = Path(__file__).resolve().parents[1]
FLOWJAX = ROOT / "build" / "benchmark-flowjax"
LAYERS, HIDDEN, BINS, BOUND = 5, 128, 8, 5.0
BATCH, ROWS = 512, 1000
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
TASKS = ("step", "log_prob", "sample")


# What is compared ----------------------------------------------------------------------------------------------------


class TorchContender:
    """A library's flow with the three tasks; ``log_prob`` and ``sample`` are its own calls."""

    def __init__(
        self,
        module: nn.Module,
        log_prob: Callable[[Tensor], Tensor],
        sample: Callable[[int], Any],
        dims: int,
        clock: str,
    ) -> None:
        self._now = CLOCKS[clock]
        self.x = torch.randn(BATCH, dims, generator=torch.Generator().manual_seed(0))
        self._log_prob, self._sample = log_prob, sample
        self._optimiser = torch.optim.Adam(module.parameters(), 1e-3, fused=True)

    def run(self, task: str, repeats: int) -> list[float]:
        times = []
        for _ in range(repeats):
            start = self._now()
            getattr(self, task)()
            times.append(self._now() - start)
        return times

    def step(self) -> None:
        loss = -self._log_prob(self.x).mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()

    @torch.no_grad()
    def log_prob(self) -> None:
        self._log_prob(self.x)

    @torch.no_grad()
    def sample(self) -> None:
        self._sample(ROWS)


class FlowJAXContender:
    """The same tasks in FlowJAX's own process, which waits on its input while others run."""

    def __init__(self, kind: str, dims: int, clock: str) -> None:
        program = [str(FLOWJAX / "bin" / "python"), str(ROOT / "benchmarks" / "vectors_flowjax.py"), clock]
        single = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if clock == "cpu" else {}
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | single
        )
        sizes = {"batch": BATCH, "rows": ROWS, "layers": LAYERS, "hidden": HIDDEN, "bins": BINS}
        self._ask({"make": {"kind": kind, "dims": dims, **sizes}})

    def run(self, task: str, repeats: int) -> list[float]:
        return self._ask({"task": task, "repeats": repeats})

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> list[float]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def ours(kind: str, dims: int) -> pf.Flow:
    """The recipe of this library at the benchmark's sizes."""
    options = {"bins": BINS, "bound": BOUND} if kind == "nsf" else {}
    return pf.build(kind, features=dims, layers=LAYERS, hidden=(HIDDEN, HIDDEN), **options)


def zuko_flow(kind: str, dims: int) -> nn.Module:
    """The same flow in zuko."""
    import zuko

    sizes = {"transforms": LAYERS, "hidden_features": (HIDDEN, HIDDEN)}
    if kind == "nsf":
        return zuko.flows.NSF(dims, bins=BINS, **sizes)
    return zuko.flows.MAF(dims, **sizes)


def nflows_flow(kind: str, dims: int) -> nn.Module:
    """The same flow in nflows."""
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import CompositeTransform, ReversePermutation
    from nflows.transforms.autoregressive import (
        MaskedAffineAutoregressiveTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
    )

    def layer() -> nn.Module:
        sizes = {"num_blocks": 2, "use_residual_blocks": False}
        if kind == "nsf":
            return MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                dims, HIDDEN, num_bins=BINS, tails="linear", tail_bound=BOUND, **sizes
            )
        return MaskedAffineAutoregressiveTransform(dims, HIDDEN, **sizes)

    parts = [part for _ in range(LAYERS) for part in (ReversePermutation(dims), layer())]
    return Flow(CompositeTransform(parts), StandardNormal([dims]))


def normflows_flow(dims: int) -> nn.Module:
    """The same spline flow in normflows, whose network has one residual block of two layers."""
    import normflows

    layers = [
        part
        for _ in range(LAYERS)
        for part in (
            normflows.flows.AutoregressiveRationalQuadraticSpline(dims, 1, HIDDEN, num_bins=BINS, tail_bound=BOUND),
            normflows.flows.LULinearPermute(dims, identity_init=True),
        )
    ]
    return normflows.NormalizingFlow(normflows.distributions.DiagGaussian(dims, trainable=False), layers)


def contenders(kind: str, dims: int, clock: str) -> dict[str, Any]:
    """Every library at one point, ours first."""
    torch.manual_seed(0)
    eager, compiled = ours(kind, dims), ours(kind, dims)
    compiled.compile_blocks()
    zuko, zuko_compiled, nflows = zuko_flow(kind, dims), zuko_flow(kind, dims), nflows_flow(kind, dims)
    whole = torch.compile(lambda x: zuko_compiled().log_prob(x))
    everyone: dict[str, Any] = {
        "ours": TorchContender(eager, eager.log_prob, eager.sample, dims, clock),
        "ours compiled": TorchContender(compiled, compiled.log_prob, compiled.sample, dims, clock),
        "zuko": TorchContender(zuko, lambda x: zuko().log_prob(x), lambda n: zuko().sample((n,)), dims, clock),
        "zuko compiled": TorchContender(zuko_compiled, whole, lambda n: zuko_compiled().sample((n,)), dims, clock),
        "nflows": TorchContender(nflows, nflows.log_prob, nflows.sample, dims, clock),
    }
    if kind == "nsf":
        # normflows' MAF is an IAF (its density is the sequential direction), so it is compared at NSF alone.
        normflows = normflows_flow(dims)
        everyone["normflows"] = TorchContender(normflows, normflows.log_prob, normflows.sample, dims, clock)
    if FLOWJAX.exists():
        everyone["FlowJAX"] = FlowJAXContender(kind, dims, clock)
    return everyone


# Speed ---------------------------------------------------------------------------------------------------------------


def speed(rounds: int, clock: str, flows: list[str], dimensions: list[int]) -> list[dict[str, Any]]:
    """Time every task of every contender at every point, in turn, and keep the median of the rounds."""
    results = []
    for kind in flows:
        for dims in dimensions:
            torch.compiler.reset()
            everyone = contenders(kind, dims, clock)
            for task in TASKS:
                results.append(compare(kind, dims, task, everyone, rounds))
                print_comparison(results[-1])
            if "FlowJAX" in everyone:
                everyone["FlowJAX"].close()
    return results


def compare(kind: str, dims: int, task: str, everyone: dict[str, Any], rounds: int) -> dict[str, Any]:
    """One task: the first call of each contender, then rounds in which each runs for about a quarter of a second."""
    first = {name: one.run(task, 1)[0] for name, one in everyone.items()}
    warm = {name: min(one.run(task, 2)) for name, one in everyone.items()}
    repeats = {name: max(1, min(20, int(0.25 / seconds))) for name, seconds in warm.items()}
    times: dict[str, list[float]] = {name: [] for name in everyone}
    for _ in range(rounds):
        for name, one in everyone.items():
            times[name] += one.run(task, repeats[name])
    milliseconds = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    best = {name: 1e3 * min(values) for name, values in times.items()}
    others = {name: value for name, value in milliseconds.items() if not name.startswith("ours")}
    fastest = min(others, key=others.__getitem__)
    mine = min(value for name, value in milliseconds.items() if name.startswith("ours"))
    return {
        "flow": kind,
        "dims": dims,
        "task": task,
        "ms": milliseconds,
        "ms_best": best,
        "first_call_s": first,
        "fastest_other": fastest,
        "ratio": others[fastest] / mine,
    }


def print_comparison(result: dict[str, Any]) -> None:
    """One line: the medians, and how many times faster ours is than the fastest of the others."""
    medians = "  ".join(f"{name} {value:.1f}" for name, value in result["ms"].items())
    compile_seconds = result["first_call_s"]["ours compiled"]
    print(
        f"{result['flow']} D={result['dims']} {result['task']}: {medians} ms | {result['ratio']:.2f}x the fastest "
        f"other ({result['fastest_other']}), first compiled call {compile_seconds:.1f} s",
        flush=True,
    )


# Compiling -----------------------------------------------------------------------------------------------------------


def first_calls() -> list[dict[str, Any]]:
    """How long the first compiled training step takes in a new process with empty caches: ours by parts, zuko whole."""
    results = []
    for kind in ("nsf", "maf"):
        for dims in (8, 64):
            seconds = {}
            for name in ("ours", "zuko"):
                with tempfile.TemporaryDirectory() as cache:
                    command = [sys.executable, __file__, "first-call", name, kind, str(dims)]
                    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
                    process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                    seconds[name] = float(process.stdout.split()[-1])
            results.append({"flow": kind, "dims": dims, "seconds": seconds})
            print(f"{kind} D={dims}: first training step ours {seconds['ours']:.1f} s, zuko {seconds['zuko']:.1f} s")
    return results


def first_call(name: str, kind: str, dims: int) -> list[dict[str, Any]]:
    """Print the seconds of one first step, after a trivial program has made what every first compilation makes."""
    torch.compile(lambda x: (x.sin() * 2).sum())(torch.randn(100, 100, requires_grad=True)).backward()
    if name == "ours":
        flow = ours(kind, dims)
        flow.compile_blocks()
        module, log_prob = flow, flow.log_prob
    else:
        module = zuko_flow(kind, dims)
        log_prob = torch.compile(lambda x: module().log_prob(x))
    contender = TorchContender(module, log_prob, lambda count: None, dims, "wall")
    print(contender.run("step", 1)[0])
    return []


# Tables --------------------------------------------------------------------------------------------------------------


def read_table(path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Training, validation and test rows, 80/10/10 of a seeded permutation, standardised with the training part."""
    with gzip.open(path, "rt") as file:
        lines = file.read().splitlines()
    start = 0 if _is_number(lines[0].split(",")[0]) else 1
    rows = np.array([[float(value) for value in line.split(",")] for line in lines[start:]])
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    a, b = int(0.8 * len(rows)), int(0.9 * len(rows))
    rows = rows[:, rows[:a].std(0) > 0]
    rows = (rows - rows[:a].mean(0)) / rows[:a].std(0)
    train, validation, test = (torch.tensor(part, dtype=torch.float32) for part in (rows[:a], rows[a:b], rows[b:]))
    return train, validation, test


def tables(folder: Path, steps: int) -> list[dict[str, Any]]:
    """Ours and zuko's NSF: the same steps, batches, optimiser and choice of the best validation."""
    results = []
    for name in ("kin40k", "skillcraft", "elevators"):
        parts = read_table(folder / f"{name}.csv.gz")
        dims = parts[0].shape[1]
        result: dict[str, Any] = {"table": name, "rows": len(parts[0]), "dims": dims, "steps": steps}
        torch.compiler.reset()
        torch.manual_seed(0)
        flow = ours("nsf", dims)
        flow.compile_blocks()
        result["ours"] = train_on_table(flow, flow.log_prob, parts, steps)
        torch.compiler.reset()
        torch.manual_seed(0)
        other = zuko_flow("nsf", dims)
        compiled = torch.compile(lambda x, other=other: other().log_prob(x))
        result["zuko"] = train_on_table(other, compiled, parts, steps)
        print(
            f"{name} ({result['rows']} x {dims}): test log-likelihood ours {result['ours']['test']:.3f}, zuko "
            f"{result['zuko']['test']:.3f}; seconds ours {result['ours']['seconds']:.0f}, zuko "
            f"{result['zuko']['seconds']:.0f}",
            flush=True,
        )
        results.append(result)
    return results


def train_on_table(
    module: nn.Module, log_prob: Callable[[Tensor], Tensor], parts: tuple[Tensor, Tensor, Tensor], steps: int
) -> dict[str, float]:
    """Train, and report the test log-likelihood at the best of the validations, compile time included in seconds."""
    train, validation, test = parts
    optimiser = torch.optim.Adam(module.parameters(), 1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def mean_log_prob(rows: Tensor) -> float:
        # Whole batches of the training size, so that nothing compiles again for another shape.
        padded = torch.cat([rows, rows[: -len(rows) % BATCH]])
        return torch.cat([log_prob(part) for part in padded.split(BATCH)])[: len(rows)].mean().item()

    best = (-float("inf"), float("nan"))
    start = time.perf_counter()
    for step in range(1, steps + 1):
        batch = train[torch.randint(len(train), (BATCH,), generator=generator)]
        loss = -log_prob(batch).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            score = mean_log_prob(validation)
            if score > best[0]:
                best = (score, mean_log_prob(test))
    return {"validation": best[0], "test": best[1], "seconds": time.perf_counter() - start}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# Known densities -----------------------------------------------------------------------------------------------------


def densities(seconds: float) -> list[dict[str, Any]]:
    """The KL from the truth, ``mean log p - log q`` over fresh samples of ``p``, after a while of training."""
    results = []
    for name in ("checkerboard", "gaussians"):
        torch.manual_seed(0)
        truth = pf.data.toy(name)
        flow = pf.build("nsf", features=2)
        train = truth.sample(200_000, torch.Generator().manual_seed(1))
        pf.fit(flow, train, max_time=seconds, batch_size=1024, learning_rate=2e-3, compile=True, seed=0)
        fresh = truth.sample(50_000, torch.Generator().manual_seed(2))
        with torch.no_grad():
            gap = truth.log_prob(fresh) - flow.log_prob(fresh)
        result = {"density": name, "seconds": seconds, "kl": gap.mean().item(), "error": gap.std().item() / 50_000**0.5}
        print(f"{name}: KL {result['kl']:.4f} +- {result['error']:.4f} nats after {seconds:.0f} s", flush=True)
        results.append(result)
    return results


def setup() -> list[dict[str, Any]]:
    """Make FlowJAX's environment."""
    subprocess.run([sys.executable, "-m", "venv", str(FLOWJAX)], check=True)
    subprocess.run([str(FLOWJAX / "bin" / "pip"), "install", "flowjax", "jax[cpu]"], check=True)
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="1 with --clock cpu, which counts waiting threads too")
    commands = parser.add_subparsers(dest="name", required=True)
    commands.add_parser("setup")
    fast = commands.add_parser("speed")
    fast.add_argument("--rounds", type=int, default=5)
    fast.add_argument("--flows", nargs="+", choices=("nsf", "maf"), default=["nsf", "maf"])
    fast.add_argument("--dims", nargs="+", type=int, default=[8, 64])
    fast.add_argument("--clock", choices=CLOCKS, default="wall")
    commands.add_parser("compile")
    first = commands.add_parser("first-call", help="what compile runs in processes of their own")
    first.add_argument("library", choices=("ours", "zuko"))
    first.add_argument("flow", choices=("nsf", "maf"))
    first.add_argument("dims", type=int)
    table = commands.add_parser("tables")
    table.add_argument("--data", type=Path, required=True)
    table.add_argument("--steps", type=int, default=2000)
    commands.add_parser("densities").add_argument("--seconds", type=float, default=180.0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = {
        "setup": setup,
        "speed": lambda: speed(options.rounds, options.clock, options.flows, options.dims),
        "compile": first_calls,
        "first-call": lambda: first_call(options.library, options.flow, options.dims),
        "tables": lambda: tables(options.data, options.steps),
        "densities": lambda: densities(options.seconds),
    }[options.name]()
    if results:
        path = ROOT / "build" / f"vectors-{options.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
