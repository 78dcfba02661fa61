"""The demo: train an image flow on the embedded digits, measure it honestly, and show what it learned."""

from __future__ import annotations

import csv
import io
import lzma
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.errors import CodecError
from pushforward.extras import requires
from pushforward.files import atomic_path, atomic_write, make_folder
from pushforward.flows.flow import Flow

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
CODEC_MODEL = "idf"
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


def interpolate(flow: Flow, first: Tensor, second: Tensor, steps: int = 8) -> Tensor:
    """Return ``steps`` images from ``first`` to ``second``, straight through the latents of *every* level.

    ``first`` and ``second`` are batches of images ``(N, C, H, W)``; the result is ``(N, steps, C, H, W)``.
    """
    weights = torch.linspace(0, 1, steps)
    ends = [_as_tuple(flow.encode(images)) for images in (first, second)]
    between = [
        torch.stack([torch.lerp(start, end, weight) for weight in weights], 1).flatten(0, 1)
        for start, end in zip(*ends)
    ]
    return flow.decode(between).unflatten(0, (len(first), steps))


def resample_levels(flow: Flow, rows: int = 4, columns: int = 8) -> Tensor:
    """Return images ``(rows, columns, C, H, W)`` that share the final latent in each row, the others drawn anew."""
    *outer, final = _as_tuple(flow.encode(flow.sample(rows)))
    return flow.decode([*[None] * len(outer), final.repeat_interleave(columns, 0)]).unflatten(0, (rows, columns))


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


def run(
    out: Path = Path("runs/demo"), max_time: str = "00:02:50", progress: bool = True, report: bool = True
) -> dict[str, Any]:
    """Train, measure and picture the default flow on the digits; return the numbers.

    Args:
        out: the run folder.
        max_time: how long to train, ``HH:MM:SS``: two thirds for the image flow, one for the codec's.
        progress: whether to show a progress bar.
        report: whether to draw the pictures and write ``report.html``.

    Raises:
        FileError: if the folder cannot be written.
    """
    from pushforward.cli.runs import plan_run
    from pushforward.data import load_data
    from pushforward.training import evaluate, fit
    from pushforward.training.plan import parse_duration

    started = time.perf_counter()
    data = load_data(DATA)
    plan = plan_run(MODEL, OPTIONS, data, DATA, (), TRAINING)
    make_folder(out)
    plan.write(out)
    torch.manual_seed(SEED)
    flow = plan.flow()
    seconds = parse_duration(max_time) or 0.0
    image_seconds = seconds * 2 / 3
    fit(flow, data.train, data.validation, max_time=image_seconds, out=out, seed=SEED, progress=progress, **TRAINING)
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
    if report:
        _write_report(flow, data, out, result, time.perf_counter() - started)
    result["seconds"] = time.perf_counter() - started
    return result


def _write_report(flow: Flow, data: Dataset, out: Path, result: dict[str, Any], seconds: float) -> None:
    from pushforward.report import Report, Table

    numbers = result["test bits/dim"]
    Report(
        title="Pushforward: the digits demo",
        text=f"A {MODEL} flow of {result['parameters']:,} parameters, trained and measured in {seconds:.0f} s on the "
        "first 1000 of scikit-learn's 8x8 digits (17 grey levels). Bits/dim are of the 447 test images; a flow with "
        "dequantization reports an upper bound on them, which importance weighting tightens; a codec's are those of "
        "its file, which was read back and compared, without the model.",
        tables=[Table(["model", "test bits/dim"], list(numbers.items()), "How many bits a pixel costs")],
        pictures=draw(flow, data, out),
        configuration={"model": MODEL, **result["options"], **TRAINING},
    ).write(out / "report.html")


@torch.no_grad()
def draw(flow: Flow, data: Dataset, out: Path) -> list[tuple[Path, str]]:
    """Draw the demo's pictures into ``out`` and return them with their captions."""
    from pushforward.plots.pictures import image_grid

    top = 16
    torch.manual_seed(SEED)
    image_grid(flow.sample(64), out / "samples.png", columns=16, maximum=top)
    ends = data.test[:8]
    image_grid(interpolate(flow, ends[:4], ends[4:]).flatten(0, 1), out / "interpolation.png", columns=8, maximum=top)
    image_grid(resample_levels(flow).flatten(0, 1), out / "levels.png", columns=8, maximum=top)
    _draw_dequantization(flow, data.test, out / "dequantization.png")
    _draw_curve(out / "metrics.csv", data.train[0].numel() * math.log(2), out / "curve.png")
    captions = {
        "samples.png": "Samples.",
        "interpolation.png": "Interpolation between two test images in each row, through the latents of every level.",
        "levels.png": "Each row shares its final latent; what was factored out before it is drawn anew.",
        "dequantization.png": "What the learned dequantization adds to a grey level, and the values the flow sees.",
        "curve.png": "Training and validation.",
    }
    return [(out / name, caption) for name, caption in captions.items()]


def _draw_dequantization(flow: Flow, images: Tensor, path: Path) -> None:
    with requires("plots", purpose="the demo"):
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

    levels = flow.levels or 1
    first = flow.transform[0]  # type: ignore[index]
    values = torch.stack([first(images)[0] for _ in range(16)]) * levels
    noise = (values - images).clamp(0, 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
    for level in (0, levels // 2, levels - 1):
        chosen = noise[:, images == level].flatten().numpy()
        left.hist(chosen, bins=50, range=(0, 1), density=True, histtype="step", label=f"level {level}")
    left.axhline(1, color="0.6", linestyle=":", label="uniform dequantization")
    left.set(xlabel="noise u", ylabel="density q(u | x)", title="Learned dequantization noise")
    left.legend(frameon=False)
    right.hist(values.flatten().numpy(), bins=8 * levels, density=True, color="C0")
    right.set(xlabel="dequantized value x + u", ylabel="density", yscale="log", title="What the flow sees")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)


def _draw_curve(metrics: Path, nats: float, path: Path) -> None:
    with requires("plots", purpose="the demo"):
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

    with metrics.open() as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for name, label in (("train_loss", "training"), ("val_loss", "validation (averaged weights)")):
        points = np.array([(float(row["step"]), float(row[name]) / nats) for row in rows if row.get(name)])
        if len(points):
            axes.plot(points[:, 0], points[:, 1], label=label, alpha=0.9)
    axes.set(xlabel="step", ylabel="bits/dim (upper bound)", title="Training")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)


def _png_size(images: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """The size of one PNG of all images as one nearly square mosaic."""
    with requires("plots", purpose="the demo"):
        from PIL import Image

    from pushforward.plots.pictures import mosaic

    content = io.BytesIO()
    Image.fromarray(mosaic(images)).save(content, "PNG", optimize=True)
    return len(content.getvalue())


def _as_tuple(latents: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (latents,) if isinstance(latents, Tensor) else tuple(latents)
