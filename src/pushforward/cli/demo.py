"""The demo: train an image flow on the embedded digits and measure it honestly."""

from __future__ import annotations

import io
import lzma
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.errors import CodecError
from pushforward.extras import requires
from pushforward.files import atomic_write, make_folder

MODEL = "multiscale"
DATA = "digits"
# A thousand images are few: a narrow network, dropout, weight decay and shifted images keep the flow from learning them
# by heart.
OPTIONS: dict[str, Any] = {"hidden": 32, "dropout": 0.2}
TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 2e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "ema": 0.995,
    "shift": 1,
}
CODEC_MODEL = "coarse-to-fine"
CODEC_OPTIONS: dict[str, Any] = {"hidden": [24], "dropout": 0.2}
CODEC_TRAINING: dict[str, Any] = {
    "batch_size": 50,
    "learning_rate": 3e-3,
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "ema": 0.99,
}
IMPORTANCE_SAMPLES = 64
SEED = 1


def independent_pixel_bits(train: Tensor, test: Tensor, levels: int, smoothing: float = 0.1) -> float:
    """Return the bits/dim of the simplest model, a histogram for each pixel with ``smoothing`` added to each count.

    Example:
        >>> coins = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
        >>> independent_pixel_bits(coins, coins, levels=2)
        1.0
    """
    one_hot = torch.nn.functional.one_hot(train.flatten(1).long(), levels).double()
    counts = one_hot.sum(0) + smoothing
    log_mass = torch.log2(counts / counts.sum(1, keepdim=True))
    return float(-log_mass.gather(1, test.flatten(1).long().T).mean())


def compressed_sizes(data: Dataset, out: Path, seconds: float, progress: bool) -> dict[str, float]:
    """Train an integer flow, compress the test part with it and get it back; return bits/dim in the file of ours and of
    the usual codecs. The model is left beside the run as ``codec.safetensors``, the compressed images as ``test.pfz``.

    Raises:
        CodecError: if what comes back is not what went in.
    """
    from pushforward.cli.runs import plan_run
    from pushforward.codec import compress, decompress, export, save_portable
    from pushforward.training import fit

    plan = plan_run(CODEC_MODEL, CODEC_OPTIONS, data, DATA, (), CODEC_TRAINING)
    torch.manual_seed(SEED)
    flow = plan.flow()
    fit(flow, data.train, data.validation, max_time=seconds, seed=SEED, progress=progress, **CODEC_TRAINING)
    codec = export(flow)
    save_portable(codec, out / "codec.safetensors")
    images = data.test.numpy().astype(np.uint8)
    compressed = compress(codec, images)
    atomic_write(out / "test.pfz", compressed)
    if not np.array_equal(decompress(codec, compressed), images):
        raise CodecError("the digits came back changed from the codec: this is a bug, please report it")
    sizes = {
        f"{CODEC_MODEL}, compressed file": len(compressed),
        "xz -9e": len(lzma.compress(images.tobytes(), preset=9 | lzma.PRESET_EXTREME)),
        "PNG, one mosaic": _png_size(images),
    }
    return {name: 8 * size / images.size for name, size in sizes.items()}


def run(out: Path = Path("runs/demo"), max_time: str = "00:02:50", progress: bool = True) -> dict[str, Any]:
    """Train, measure and picture the default flow on the digits, write ``report.html``, and return the numbers.

    Args:
        out: the run folder.
        max_time: how long to train, as `fit` takes it: two thirds for the image flow, one for the codec's.
        progress: whether to show a progress bar.

    Raises:
        FileError: if the folder cannot be written.
    """
    from pushforward.cli.demo_report import write_report
    from pushforward.cli.runs import plan_run
    from pushforward.data import load_data
    from pushforward.training import evaluate, fit
    from pushforward.training.plan import parse_duration
    from pushforward.training.runs import RunFolder

    started = time.perf_counter()
    data = load_data(DATA)
    plan = plan_run(MODEL, OPTIONS, data, DATA, (), TRAINING)
    folder = RunFolder(make_folder(out), plan.to_json())
    torch.manual_seed(SEED)
    flow = plan.flow()
    seconds = parse_duration(max_time) or 0.0
    image_seconds = seconds * 2 / 3
    fit(flow, data.train, data.validation, max_time=image_seconds, out=folder, seed=SEED, progress=progress, **TRAINING)
    torch.manual_seed(SEED)
    flow.eval()
    bound, tighter = (evaluate(flow, data.test, importance_samples=count) for count in (1, IMPORTANCE_SAMPLES))
    numbers = {
        "independent pixels": independent_pixel_bits(data.train, data.test, data.levels or 1),
        f"{MODEL}, one-sample bound": bound.bits_per_dim,
        f"{MODEL}, importance-weighted with {IMPORTANCE_SAMPLES} samples": tighter.bits_per_dim,
    }
    numbers |= compressed_sizes(data, out, seconds - image_seconds, progress)
    result: dict[str, Any] = {
        "model": MODEL,
        "options": plan.options,
        "parameters": sum(parameter.numel() for parameter in flow.parameters()),
        "test bits/dim": numbers,
        "out": str(out),
    }
    torch.manual_seed(SEED)
    write_report(flow, data, out, {**result, "seconds": time.perf_counter() - started}, TRAINING)
    return {**result, "seconds": time.perf_counter() - started}


def _png_size(images: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """The size of one PNG of all images as one nearly square mosaic."""
    with requires("plots", purpose="the demo"):
        from PIL import Image

    from pushforward.plots.pictures import mosaic

    content = io.BytesIO()
    Image.fromarray(mosaic(images)).save(content, "PNG", optimize=True)
    return len(content.getvalue())
