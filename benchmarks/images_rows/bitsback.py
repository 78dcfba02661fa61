"""Local bits-back coding: bits per dimension of a file by the multi-scale flow ("ours"), all of its bits counted,
beside the flow's own one-sample bound on the same images ("other"); and images per second into the file and out of it.

The digits' test part, by the flow of ``pushforward demo``, and the first 1,000 test images of MNIST, by a narrow
``multiscale``: the file is compared with the bound of the same flow, which need not be trained for long. Into the file
means with the check that each block reads back.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
from pushforward.cli.demo import OPTIONS, SEED, TRAINING
from pushforward.codec import LocalBitsBack, compress, decompress
from pushforward.data.dataset import Dataset
from pushforward.data.digits import load_digits
from pushforward.data.idx import load_mnist

DIGITS_SECONDS, MNIST_SECONDS = 113.0, 180.0
MNIST: dict[str, Any] = {"hidden": 16, "layers": 2}
MNIST_TRAINING: dict[str, Any] = {"batch_size": 64, "learning_rate": 1e-3, "ema": 0.99}
IMAGES = 1000


def run(seconds: float | None, data: Path, accelerator: str = "cpu") -> list[dict[str, object]]:
    """Digits and MNIST."""
    digits = load_digits()
    flow = trained(digits, OPTIONS, TRAINING, seconds or DIGITS_SECONDS, accelerator)
    rows = coded("digits 8x8", flow, digits.test)
    if (data / "mnist").is_dir():
        mnist = load_mnist(data / "mnist")
        flow = trained(mnist, MNIST, MNIST_TRAINING, seconds or MNIST_SECONDS, accelerator)
        rows += coded("MNIST", flow, mnist.test[:IMAGES])[:1]
    return rows


def trained(
    data: Dataset, options: dict[str, Any], training: dict[str, Any], seconds: float, accelerator: str
) -> pf.Flow:
    """A multi-scale flow after so many seconds."""
    torch.manual_seed(SEED)
    flow = pf.build("multiscale", shape=data.event_shape, levels=data.levels, **options)
    pf.fit(flow, data, max_time=seconds, seed=SEED, progress=False, accelerator=accelerator, **training)
    return flow.cpu().eval()


def coded(name: str, flow: pf.Flow, images: Tensor) -> list[dict[str, object]]:
    """Compress images and get them back."""
    model, array = LocalBitsBack(flow), images.numpy().astype(np.uint8)
    # Once for a model, not for a file.
    assert model.histograms
    began = time.perf_counter()
    content = compress(model, array)
    into = time.perf_counter() - began
    began = time.perf_counter()
    if not np.array_equal(decompress(model, content), array):
        raise SystemExit("the images came back changed")
    out = time.perf_counter() - began
    what = f"{name}, {len(array)} images: file and bound, bits/dim"
    return [
        {"what": what, "ours": 8 * len(content) / array.size, "other": bound(model, images), "asked": "+ 0.03"},
        {
            "what": f"{name}: images/s in and out",
            "ours": len(array) / into,
            "other": len(array) / out,
            "asked": ">= 50",
        },
    ]


@torch.no_grad()
def bound(model: LocalBitsBack, images: Tensor) -> float:
    """The flow's one-sample bound, in double precision as the codec computes."""
    generator = torch.Generator().manual_seed(0)
    nats = [model.flow.log_prob(part.double(), generator=generator).sum() for part in images.split(100)]
    return -float(sum(nats)) / images.numel() / math.log(2)
