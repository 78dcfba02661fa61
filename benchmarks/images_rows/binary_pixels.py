"""MNIST, black where ``x > 127``: test nats after the same time for every model of pixels ("ours"), with its minutes.

The masses are exact, but TarFlow's is a bound by dequantization. The published numbers are of another, sampled
binarisation, so not the same task.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data.idx import load_mnist

SECONDS = 600.0
MODELS: dict[str, dict[str, Any]] = {
    "pixelcnn": {"layers": 7, "hidden": 32},
    "gated-pixelcnn": {"layers": 7, "hidden": 32},
    "pixelrnn, Row LSTM": {"layer": "row", "layers": 3, "hidden": 16},
    "pixelrnn, Diagonal BiLSTM": {"layer": "diagonal", "layers": 3, "hidden": 16},
    "tarflow": {"patch": 4, "layers": 4, "hidden": 64, "blocks": 2},
}
PUBLISHED = {
    "pixelcnn": "published 81.30",
    "pixelrnn, Row LSTM": "published 80.54",
    "pixelrnn, Diagonal BiLSTM": "published 79.20",
    "MADE": "published 86.64 (32 masks)",
    "NADE": "published 88.33",
}
TRAINING: dict[str, Any] = {
    "batch_size": 32,
    "learning_rate": 2e-3,
    "warmup_steps": 50,
    "ema": 0.998,
    "validate_every": 500,
}
VALIDATED = 1000


def run(seconds: float | None, data: Path, accelerator: str = "cpu") -> list[dict[str, object]]:
    """Nats of every model on black and white MNIST."""
    mnist = load_mnist(data / "mnist")
    train, validation, test = ((part > 127).float() for part in (mnist.train, mnist.validation, mnist.test))
    parts = train, validation[:VALIDATED], test
    rows: list[dict[str, object]] = []
    options = {"max_time": seconds or SECONDS, "accelerator": accelerator, **TRAINING}
    for name, flow in binary_models().items():
        began = time.perf_counter()
        sides = (each.flatten(1) if len(flow.event_shape) == 1 else each for each in parts)
        seen, held, unseen = sides
        pf.fit(flow, seen, held, seed=0, progress=False, **options)
        minutes = (time.perf_counter() - began) / 60
        nats = -mean_log_prob(flow.to("cuda" if accelerator == "cuda" else "cpu"), unseen)
        what = f"MNIST, x > 127, test nats after {minutes:.1f} min: {name} ({count(flow):,} parameters)"
        rows.append({"what": what, "ours": nats, "other": None, "asked": PUBLISHED.get(name, "")})
    return rows


def binary_models() -> dict[str, pf.Flow]:
    """Every model of black and white pixels, by name."""
    torch.manual_seed(0)
    made = pf.Flow([pf.transforms.Integers(2)], pf.distributions.BinaryMADE(784))
    models = {"MADE": made, "NADE": pf.models.nade(features=784)}
    for name, options in MODELS.items():
        models[name] = pf.build(name.split(",")[0], shape=(1, 28, 28), levels=2, **options)
    return models


def count(flow: pf.Flow) -> int:
    """How many parameters a flow has."""
    return sum(parameter.numel() for parameter in flow.parameters())


@torch.no_grad()
def mean_log_prob(flow: pf.Flow, x: Tensor) -> float:
    """The mean log-mass of images."""
    device = next(flow.parameters()).device
    return torch.cat([flow.log_prob(part.to(device)).cpu() for part in x.split(500)]).double().mean().item()
