"""Portable files: bits per dimension of the test images in one file by a pixel model in integers, as ``compress --level
best`` writes it ("ours"), beside ``--level fast``, the model ``coarse-to-fine`` ("other"); and images per second of the
better one into the file and out of it ("ours" and "other").

Digits by the gated PixelCNN, MNIST's 10,000 test images by a narrow one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
from pushforward.cli.demo import CODEC_OPTIONS, CODEC_TRAINING
from pushforward.codec import PortableFlow, compress, decompress, export
from pushforward.data.dataset import Dataset
from pushforward.data.digits import load_digits
from pushforward.data.idx import load_mnist

DIGITS_SECONDS, MNIST_SECONDS, FAST_SECONDS = 600.0, 2160.0, 120.0
DIGITS: dict[str, Any] = {"layers": 5, "hidden": 32, "first_kernel": 5, "dropout": 0.25, "likelihood": "logistic"}
DIGITS_TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 3e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "warmup_steps": 50,
    "ema": 0.998,
    "shift": 1,
    "validate_every": 100,
}
MNIST: dict[str, Any] = {"layers": 6, "hidden": 24, "first_kernel": 7, "likelihood": "categorical"}
MNIST_TRAINING: dict[str, Any] = {"batch_size": 16, "learning_rate": 2e-3, "warmup_steps": 100, "ema": 0.998}
FAST_TRAINING: dict[str, Any] = {"batch_size": 64, "learning_rate": 2e-3}


def run(seconds: float | None, data: Path, accelerator: str = "cpu") -> list[dict[str, object]]:
    """Digits and MNIST."""
    fast_seconds = seconds or FAST_SECONDS
    digits = load_digits()
    best = trained("gated-pixelcnn", digits, DIGITS, DIGITS_TRAINING, seconds or DIGITS_SECONDS, accelerator)
    fast = trained("coarse-to-fine", digits, CODEC_OPTIONS, CODEC_TRAINING, fast_seconds, accelerator)
    rows = sizes("digits 8x8", digits, best, fast, "<= 1.75")
    if (data / "mnist").is_dir():
        mnist = load_mnist(data / "mnist")
        best = trained("gated-pixelcnn", mnist, MNIST, MNIST_TRAINING, seconds or MNIST_SECONDS, accelerator)
        fast = trained("coarse-to-fine", mnist, {}, FAST_TRAINING, fast_seconds, accelerator)
        rows += sizes("MNIST", mnist, best, fast, "<= 1.05")
    return rows


def trained(
    name: str, data: Dataset, options: dict[str, Any], training: dict[str, Any], seconds: float, accelerator: str
) -> PortableFlow:
    """A model after so many seconds, in integers."""
    torch.manual_seed(0)
    flow = pf.build(name, shape=data.event_shape, levels=data.levels, **options)
    pf.fit(flow, data, max_time=seconds, seed=0, progress=False, accelerator=accelerator, **training)
    return export(flow.cpu().eval())


def sizes(name: str, data: Dataset, best: PortableFlow, fast: PortableFlow, asked: str) -> list[dict[str, object]]:
    """Compress the test part with both and get it back."""
    array = data.test.numpy().astype(np.uint8)
    began = time.perf_counter()
    content = compress(best, array)
    into = time.perf_counter() - began
    began = time.perf_counter()
    if not np.array_equal(decompress(best, content), array):
        raise SystemExit("the images came back changed")
    out = time.perf_counter() - began
    bits, others = (8 * len(each) / array.size for each in (content, compress(fast, array)))
    return [
        {"what": f"{name}: file of --level best, and fast, bits/dim", "ours": bits, "other": others, "asked": asked},
        {
            "what": f"{name}: best, images/s in and out",
            "ours": len(array) / into,
            "other": len(array) / out,
            "asked": ">= 100",
        },
    ]
