"""This version against another one of this library: the same work, each in a process of its own, in turn.

    git worktree add ../before COMMIT
    python benchmarks/versions.py ../before/src                   # training step, log-density, sampling; image step
    python benchmarks/versions.py ../before/src --threads 1 --clock cpu --flows maf --dims 8

A row is the median of rounds in which the two versions take turns, and their ratio: below 1, this version is faster.
Prints a table and writes build/versions.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
TASKS = ("step", "log_prob", "sample")
BATCH, ROWS, IMAGES = 512, 1000, 32


class Version:
    """A process that runs tasks with the sources of one version, and waits on its input while the other runs."""

    def __init__(self, sources: Path, threads: int, clock: str) -> None:
        environment = os.environ | {"PYTHONPATH": str(sources), "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, __file__, "worker", "--threads", str(threads), "--clock", clock]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, **request: Any) -> list[float]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a version's process ended early: see its message above")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def work(clock: str) -> None:
    """The loop of a version's process: requests come in, lists of seconds go out."""
    import torch

    import pushforward as pf

    now = CLOCKS[clock]
    flow, x, optimiser = pf.build("maf", features=2), torch.zeros(0), None

    def step() -> None:
        loss = -flow.log_prob(x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def log_prob() -> None:
        flow.log_prob(x)

    @torch.no_grad()
    def sample() -> None:
        flow.sample(ROWS if x.dim() == 2 else len(x))

    for line in sys.stdin:
        request = json.loads(line)
        if "make" in request:
            torch.manual_seed(0)
            torch.compiler.reset()
            flow = pf.build(request["make"], **request["options"])
            x = (
                torch.randn(BATCH, *flow.event_shape)
                if len(flow.event_shape) == 1
                else torch.randint(256, (IMAGES, *flow.event_shape))
            )
            optimiser = torch.optim.Adam(flow.parameters(), 1e-3, fused=True)
            if request["compiled"]:
                flow.compile_blocks()
            print(json.dumps([]), flush=True)
            continue
        task, seconds = {"step": step, "log_prob": log_prob, "sample": sample}[request["task"]], []
        for _ in range(request["repeats"]):
            start = now()
            task()
            seconds.append(now() - start)
        print(json.dumps(seconds), flush=True)


def compare(versions: dict[str, Version], model: dict[str, Any], task: str, rounds: int) -> dict[str, Any]:
    """One task of one model: a first call, then rounds in turn."""
    for version in versions.values():
        version.ask(task=task, repeats=1)
    warm = {name: min(version.ask(task=task, repeats=2)) for name, version in versions.items()}
    repeats = {name: max(1, min(20, int(0.25 / seconds))) for name, seconds in warm.items()}
    times: dict[str, list[float]] = {name: [] for name in versions}
    for _ in range(rounds):
        for name, version in versions.items():
            times[name] += version.ask(task=task, repeats=repeats[name])
    milliseconds = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    return {**model, "task": task, "ms": milliseconds, "ratio": milliseconds["this"] / milliseconds["other"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the other version's src folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--flows", nargs="+", default=["nsf", "maf", "nsf-coupling", "mnist-multiscale"])
    parser.add_argument("--dims", nargs="+", type=int, default=[8, 64])
    options = parser.parse_args()
    if str(options.other) == "worker":
        import torch

        torch.set_num_threads(options.threads)
        work(options.clock)
        return
    versions = {
        "this": Version(ROOT / "src", options.threads, options.clock),
        "other": Version(options.other.resolve(), options.threads, options.clock),
    }
    results = []
    for flow in options.flows:
        images = flow.startswith("mnist")
        for dims in [0] if images else options.dims:
            sizes = {} if images else {"features": dims, "layers": 5, "hidden": [128, 128]}
            for compiled in (False,) if images else (False, True):
                model = {"flow": flow, "dims": dims, "compiled": compiled}
                for version in versions.values():
                    version.ask(make=flow, options=sizes, compiled=compiled)
                for task in TASKS:
                    result = compare(versions, model, task, options.rounds)
                    results.append(result)
                    times = "  ".join(f"{name} {value:.2f}" for name, value in result["ms"].items())
                    kind = "compiled" if compiled else "eager"
                    print(f"{flow} D={dims} {kind} {task}: {times} ms | {result['ratio']:.3f}", flush=True)
    for version in versions.values():
        version.close()
    path = ROOT / "build" / "versions.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
