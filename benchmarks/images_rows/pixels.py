"""Pixel models: bits per dimension on the digits, and what a sample costs.

- Digits of 8 x 8 pixels and 17 levels: test bits per dimension of the gated PixelCNN ("ours") beside the plain one
  ("other"), exact masses both; and of the autoregressive flow ("ours") by one sample and by 64 ("other"). A thousand
  images are few: the models learn them shifted and mirrored too, told which by their context, and are asked of images
  as they are (distribution augmentation, Jun et al. 2020).
- Cached sampling at 28 x 28: how many times longer the definition takes, a pass of the network for each pixel, than
  one column of each layer for each ("ours"), and how far apart the two networks' outputs are ("other").
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data.digits import load_digits

SECONDS = {"gated-pixelcnn": 600.0, "pixelcnn": 300.0, "autoregressive-image-flow": 600.0}
DIGITS: dict[str, dict[str, Any]] = {
    "gated-pixelcnn": {"layers": 5, "hidden": 32, "first_kernel": 5, "dropout": 0.1, "likelihood": "logistic"},
    "pixelcnn": {"layers": 5, "hidden": 64, "first_kernel": 5, "dropout": 0.1, "likelihood": "logistic"},
    "autoregressive-image-flow": {
        "layers": 5,
        "hidden": 32,
        "first_kernel": 5,
        "dropout": 0.1,
        "likelihood": "logistic",
        "components": 5,
    },
}
TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 3e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "warmup_steps": 50,
    "ema": 0.998,
    "validate_every": 100,
}
IMPORTANCE_SAMPLES = 64
IMAGES, TIMED = 16, 3


def run(seconds: float | None, data: Path, accelerator: str = "cpu") -> list[dict[str, object]]:
    """Digits, and the cost of a sample."""
    return [
        exact(seconds, accelerator),
        bounded(seconds, accelerator),
        *(cached(name) for name in ("gated-pixelcnn", "pixelcnn")),
    ]


def exact(seconds: float | None, accelerator: str) -> dict[str, object]:
    """Bits of both models of integers on the digits."""
    names = ("gated-pixelcnn", "pixelcnn")
    gated, plain = (test_bits(name, seconds, accelerator) for name in names)
    minutes = " and ".join(f"{(seconds or SECONDS[name]) / 60:.1f}" for name in names)
    what = f"digits 8x8, test bits/dim after {minutes} min: gated PixelCNN beside PixelCNN"
    return {"what": what, "ours": gated, "other": plain, "asked": "<= 1.70"}


def bounded(seconds: float | None, accelerator: str) -> dict[str, object]:
    """Bits of the flow on the digits, two bounds."""
    name = "autoregressive-image-flow"
    budget = seconds or SECONDS[name]
    flow = trained(name, seconds, accelerator)
    test = as_they_are(load_digits().test)
    one, many = (
        pf.evaluate(flow, test, importance_samples=samples).bits_per_dim for samples in (1, IMPORTANCE_SAMPLES)
    )
    what = f"digits 8x8, test bits/dim after {budget / 60:.1f} min: autoregressive flow, one sample beside IW-64"
    return {"what": what, "ours": one, "other": many, "asked": "<= 1.75"}


def test_bits(name: str, seconds: float | None, accelerator: str) -> float:
    """Bits of a model after its training."""
    return pf.evaluate(trained(name, seconds, accelerator), as_they_are(load_digits().test)).bits_per_dim


def trained(name: str, seconds: float | None, accelerator: str) -> pf.Flow:
    """A model after its training on every view."""
    images = load_digits()
    torch.manual_seed(0)
    context = pf.spaces.Categories(len(views(images.train)))
    flow = pf.build(name, shape=images.event_shape, levels=images.levels, context=context, **DIGITS[name])
    budget = seconds or SECONDS[name]
    sides = told_apart(images.train), as_they_are(images.validation)
    result = pf.fit(flow, *sides, max_time=budget, seed=0, progress=False, accelerator=accelerator, **TRAINING)
    print(f"{name}: {result.steps} steps, best validation {result.best_validation:.3f}", flush=True)
    return flow.cpu()


def views(x: Tensor) -> list[Tensor]:
    """Images as they are, shifted by a pixel in each direction, and turned and mirrored in all seven other ways."""
    rows, columns = x.shape[-2:]
    padded = torch.nn.functional.pad(x.float(), (1, 1, 1, 1)).to(x.dtype)
    shifted = [
        padded[..., 1 + i : 1 + i + rows, 1 + j : 1 + j + columns] for i, j in ((0, 1), (0, -1), (1, 0), (-1, 0))
    ]
    mirrored = [x, x.flip(-1), x.flip(-2), x.flip(-1, -2)]
    return [x, *shifted, *mirrored[1:], *(image.transpose(-1, -2) for image in mirrored)]


def told_apart(x: Tensor) -> tuple[Tensor, Tensor]:
    """Every view of every image, and which it is."""
    every = torch.stack(views(x))
    return every.flatten(0, 1), torch.arange(len(every)).repeat_interleave(len(x))


def as_they_are(x: Tensor) -> tuple[Tensor, Tensor]:
    """Images with the context of those that are as they are."""
    return x, torch.zeros(len(x), dtype=torch.long)


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
