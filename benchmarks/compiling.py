"""When compiling a training pays: what it costs and saves, measured and as ``kernels/compile_cost.py`` predicts it.

    python benchmarks/compiling.py              # a line for each flow; writes build/compiling.json
    python benchmarks/compiling.py --rows 512 --only nsf-8 glow

Each flow is compiled in a process of its own with nothing cached. Times are those of the processor, of this process and
those that it starts, so that a busy machine changes little. The rates of the prediction are set such that where
it says that compiling pays, it does: seconds of compiling rather too many, seconds saved rather too few.
"""

from __future__ import annotations

import argparse
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

import torch

import pushforward as pf
from pushforward.kernels.compile_cost import compile_cost

ROOT = Path(__file__).resolve().parents[1]
STEPS = 12
FLOWS: dict[str, tuple[str, dict[str, Any], int]] = {
    "nsf-8-small": ("nsf", {"features": 8, "layers": 3, "hidden": (64, 64)}, 256),
    "nsf-8": ("nsf", {"features": 8, "layers": 3, "hidden": (128, 128)}, 1024),
    "nsf-20": ("nsf", {"features": 20, "layers": 5, "hidden": (128, 128)}, 512),
    "nsf-1-given-20": ("nsf", {"features": 1, "context": 20, "layers": 2, "hidden": (128, 128)}, 512),
    "maf-8": ("maf", {"features": 8, "layers": 5, "hidden": (128, 128)}, 512),
    "realnvp-8": ("realnvp", {"features": 8}, 512),
    "glow": ("glow", {"shape": (1, 16, 16), "layers": 2, "hidden": 32, "scales": 2}, 64),
}
"""The model, its options, and the rows of a batch."""


def measured(name: str) -> dict[str, float]:
    """One flow: seconds of the first compiled step, of a step with and without compiling, and what was predicted."""
    model, options, rows = FLOWS[name]
    torch.manual_seed(0)
    flow = pf.build(model, **options)
    x = flow.support.nearest(torch.randn(rows, *flow.event_shape))
    context = None if flow.context is None else torch.randn(rows, *flow.context.shape)
    flow.initialise(x, context)
    cost = compile_cost(flow, rows, "cpu")
    assert cost is not None
    step = training_step(flow, x, context)
    eager = median_seconds(step)
    flow.compile_blocks()
    start = seconds()
    step()
    first = seconds() - start
    compiled = median_seconds(step)
    return {
        "eager_ms": 1e3 * eager,
        "compiled_ms": 1e3 * compiled,
        "compiling_s": first,
        "predicted_saved_ms": 1e3 * cost.saved,
        "predicted_compiling_s": cost.compiling,
    }


def seconds() -> float:
    """Of the processor, of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def training_step(flow: pf.Flow, x: torch.Tensor, context: torch.Tensor | None) -> Callable[[], None]:
    """A step of Adam on the batch."""
    optimiser = torch.optim.Adam(flow.parameters(), 1e-4, fused=True)

    def step() -> None:
        loss = -flow.log_prob(x, context).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def median_seconds(step: Callable[[], None]) -> float:
    """The median of some calls after the first two."""
    times = []
    for _ in range(STEPS):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return statistics.median(times[2:])


def in_a_process(name: str) -> dict[str, float]:
    """The same in a new process without a cache."""
    with tempfile.TemporaryDirectory() as cache:
        process = subprocess.run(
            [sys.executable, __file__, "--here", name],
            env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(process.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FLOWS, default=list(FLOWS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--here", choices=FLOWS, help="what runs in processes of their own")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.here:
        print(json.dumps(measured(arguments.here)))
        return
    results = {}
    for name in arguments.only:
        result = results[name] = in_a_process(name)
        saved = result["eager_ms"] - result["compiled_ms"]
        pays = 1e3 * result["compiling_s"] / saved if saved > 0 else float("inf")
        predicted = 1e3 * result["predicted_compiling_s"] / result["predicted_saved_ms"]
        print(
            f"{name}: step {result['eager_ms']:.1f} ms, compiled {result['compiled_ms']:.1f} ms, saved {saved:.1f} "
            f"(predicted {result['predicted_saved_ms']:.1f}); compiling {result['compiling_s']:.1f} s (predicted "
            f"{result['predicted_compiling_s']:.1f}); pays after {pays:.0f} steps (predicted {predicted:.0f})",
            flush=True,
        )
    path = ROOT / "build" / "compiling.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
