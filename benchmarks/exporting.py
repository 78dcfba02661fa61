"""Exported flows in onnxruntime beside the same in torch: sizes, times and the worst difference, as a Markdown table.

    python benchmarks/exporting.py                     # the models below, log_prob and sample
    python benchmarks/exporting.py maf glow            # some of them
    python benchmarks/exporting.py --out rows.json

One thread each, the best of several calls, the two in turn.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

import pushforward as pf
from pushforward.diagnostics.summary import count_parameters
from pushforward.exporting.noise import Given

VECTORS = {"features": 2, "hidden": 64}
IMAGES = {"shape": (1, 8, 8), "levels": 17}
MODELS: dict[str, dict[str, Any]] = {
    "realnvp": VECTORS,
    "nsf-coupling": VECTORS,
    "maf": VECTORS,
    "nsf": VECTORS,
    "multiscale": IMAGES,
    "glow": IMAGES,
}
BATCHES = {"features": 1000, "shape": 16}
CALLS = 5
COLUMNS = ("model", "method", "parameters", "KB", "seconds to export", "torch ms", "onnxruntime ms", "difference")


def main() -> None:
    """Measure the models that are named."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("models", nargs="*", choices=[[], *MODELS], metavar="MODEL", help=f"of {', '.join(MODELS)}")
    made.add_argument("--out", type=Path, help="a file for the rows as JSON")
    options = made.parse_args()
    torch.set_num_threads(1)
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    rows = []
    for name in options.models or MODELS:
        for method in ("log_prob", "sample"):
            rows.append(measured(name, method))
            print(f"| {' | '.join(shown(value) for value in rows[-1].values())} |", flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


@torch.no_grad()
def measured(name: str, method: str) -> dict[str, Any]:
    """A row."""
    torch.manual_seed(0)
    flow = pf.testing.randomise(pf.build(name, **MODELS[name]), scale=0.05).eval()
    batch = next(size for key, size in BATCHES.items() if key in MODELS[name])
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        signature = pf.export(flow, f"{folder}/model.onnx", method)
        seconds = time.monotonic() - began
        size = Path(f"{folder}/model.onnx").stat().st_size
        session = opened(f"{folder}/model.onnx")
    inputs = [numbers(flow, port, batch) for port in signature.inputs]
    feed = {port.name: values.numpy() for port, values in zip(signature.inputs, inputs)}
    calls: list[Callable[[], Any]] = [lambda: eager(flow, signature, batch, inputs), lambda: session.run(None, feed)]
    times = [1e3 * min(column) for column in zip(*[[timed(call) for call in calls] for _ in range(CALLS)])]
    difference = float((calls[0]() - torch.as_tensor(calls[1]()[0])).abs().max())
    values = (name, method, count_parameters(flow), size / 1e3, seconds, *times, difference)
    return dict(zip(COLUMNS, values, strict=True))


def eager(flow: pf.Flow, signature: pf.exporting.Signature, batch: int, inputs: list[Tensor]) -> Tensor:
    """The same by the flow itself, with these random numbers in the place of its own."""
    drawn = [values for values, port in zip(inputs, signature.inputs) if port.kind in ("normal", "uniform")]
    with Given(drawn):
        return flow.log_prob(inputs[0]) if signature.method == "log_prob" else flow.sample(batch)


def numbers(flow: pf.Flow, port: pf.exporting.Port, batch: int) -> Tensor:
    """Events or random numbers for an input."""
    if port.kind == "events":
        return flow.sample(batch).float()
    return torch.rand(batch, *port.shape) if port.kind == "uniform" else torch.randn(batch, *port.shape)


def opened(path: str) -> onnxruntime.InferenceSession:
    """A file, run by one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def timed(call: Callable[[], Any]) -> float:
    """The seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def shown(value: Any) -> str:
    """A cell."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
