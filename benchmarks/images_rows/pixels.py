"""Pixel models: bits, nats and what a sample costs.

- Digits of 8 x 8 pixels and 17 levels: test bits per dimension of the gated PixelCNN after ten minutes of training
  ("ours") beside the plain one ("other"), exact masses both.
- Cached sampling at 28 x 28: how many times longer the definition takes, a pass of the network for each pixel, than
  one column of each layer for each ("ours"), and how far apart the two networks' outputs are ("other").
- MNIST, black where ``x > 127``: test nats after the same time for every model, with its minutes in the cell's
  description. The published numbers are of another, sampled binarisation, so not the same task.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data.digits import load_digits
from pushforward.data.idx import load_mnist

SECONDS = 600.0
DIGITS: dict[str, dict[str, Any]] = {
    "gated-pixelcnn": {"layers": 6, "hidden": 48, "first_kernel": 5, "dropout": 0.4},
    "pixelcnn": {"layers": 5, "hidden": 64, "first_kernel": 5, "dropout": 0.4},
}
DIGITS_TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 2e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "warmup_steps": 50,
    "ema": 0.998,
    "shift": 1,
    "validate_every": 100,
}
BINARY: dict[str, dict[str, Any]] = {
    "pixelcnn": {"layers": 7, "hidden": 32},
    "gated-pixelcnn": {"layers": 7, "hidden": 32},
    "pixelrnn, Row LSTM": {"layer": "row", "layers": 3, "hidden": 16},
    "pixelrnn, Diagonal BiLSTM": {"layer": "diagonal", "layers": 3, "hidden": 16},
}
PUBLISHED = {
    "pixelcnn": "published 81.30",
    "pixelrnn, Row LSTM": "published 80.54",
    "pixelrnn, Diagonal BiLSTM": "published 79.20",
    "MADE": "published 86.64 (32 masks)",
    "NADE": "published 88.33",
}
BINARY_TRAINING: dict[str, Any] = {"batch_size": 64, "learning_rate": 1e-3, "ema": 0.999, "validate_every": 500}
IMAGES, TIMED = 16, 3


def run(seconds: float | None, data: Path, accelerator: str = "cpu") -> list[dict[str, object]]:
    """Digits, the cost of a sample, and the table of binarised MNIST."""
    budget = seconds or SECONDS
    return [digits(budget, accelerator), *(cached(name) for name in DIGITS), *binarised(budget, data, accelerator)]


def digits(seconds: float, accelerator: str) -> dict[str, object]:
    """Bits of both models on the digits."""
    images = load_digits()
    bits = []
    for name, options in DIGITS.items():
        torch.manual_seed(0)
        flow = pf.build(name, shape=images.event_shape, levels=images.levels, **options)
        pf.fit(flow, images, max_time=seconds, seed=0, progress=False, accelerator=accelerator, **DIGITS_TRAINING)
        bits.append(-mean_log_prob(flow.cpu(), images.test) / (64 * 0.6931471805599453))
    what = f"digits 8x8, test bits/dim after {seconds / 60:.1f} min each: gated PixelCNN beside PixelCNN"
    return {"what": what, "ours": bits[0], "other": bits[1], "asked": "<= 1.70"}


@torch.no_grad()
def cached(name: str) -> dict[str, object]:
    """The ratio of the definition's time to that with caches, and the greatest difference of what the network says."""
    torch.manual_seed(0)
    shape = torch.Size((1, 28, 28))
    flow = pf.testing.randomise(pf.build(name, shape=shape, levels=2), 0.1).eval()
    network: Any = flow.base.network  # type: ignore[union-attr]
    said: list[Tensor] = []
    x = torch.randint(2, (IMAGES, *shape)).float()
    values = x.flatten(1).t()

    def choose(variable: slice, outputs: Tensor) -> Tensor:
        said.append(outputs[0, :, 0])
        return values[variable]

    began = time.perf_counter()
    network.generate(choose, torch.Size([IMAGES]), plane=shape[1:])
    columns = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(TIMED):
        whole = network(x)
    passes = (time.perf_counter() - began) / TIMED * shape.numel()
    apart = (torch.stack(said) - whole.flatten(1).t()).abs().max().item()
    what = (
        f"{name}, {IMAGES} samples of 28x28: the definition ({passes:.1f} s) over columns ({columns:.2f} s); greatest "
        f"difference of the outputs"
    )
    return {"what": what, "ours": passes / columns, "other": apart, "asked": ">= 50, <= 1e-5"}


def binarised(seconds: float, data: Path, accelerator: str) -> list[dict[str, object]]:
    """Nats of every model on black and white MNIST."""
    mnist = load_mnist(data / "mnist")
    train, validation, test = ((part > 127).float() for part in (mnist.train, mnist.validation, mnist.test))
    rows: list[dict[str, object]] = []
    for name, flow in binary_models().items():
        began = time.perf_counter()
        sides = (each.flatten(1) if len(flow.event_shape) == 1 else each for each in (train, validation, test))
        seen, held, unseen = sides
        pf.fit(flow, seen, held, max_time=seconds, seed=0, progress=False, accelerator=accelerator, **BINARY_TRAINING)
        minutes = (time.perf_counter() - began) / 60
        nats = -mean_log_prob(flow.to("cuda" if accelerator == "cuda" else "cpu"), unseen)
        what = f"MNIST, x > 127, test nats after {minutes:.1f} min: {name} ({count(flow):,} parameters)"
        rows.append({"what": what, "ours": nats, "other": None, "asked": PUBLISHED.get(name, "")})
    return rows


def binary_models() -> dict[str, pf.Flow]:
    """Every model of black and white pixels, by name."""
    torch.manual_seed(0)
    made = pf.Flow([pf.transforms.Integers(2)], pf.distributions.BinaryMADE(784))
    models = {"MADE": made}
    if "nade" in pf.list_models():
        models["NADE"] = pf.build("nade", features=784)
    for name, options in BINARY.items():
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
