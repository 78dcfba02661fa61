"""What the demo shows: pictures of what the flow learned, and a page with them and the numbers."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.diagnostics.interpolation import interpolate
from pushforward.diagnostics.levels import resample_levels
from pushforward.flows.flow import Flow
from pushforward.plots.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(flow: Flow, data: Dataset, out: Path, result: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    """Draw the pictures into the run's folder and write ``report.html`` beside them.

    Args:
        flow: the trained flow of images.
        data: what it was trained on.
        out: the run's folder, with ``metrics.csv``.
        result: what the demo measured.
        training: how it trained.

    Raises:
        FileError: if a file cannot be written.
    """
    from pushforward.report import Report, Table

    numbers = result["test bits/dim"]
    Report(
        title="Pushforward: the digits demo",
        text=f"A {result['model']} flow of {result['parameters']:,} parameters, trained and measured in "
        f"{result['seconds']:.0f} s on the first 1000 of scikit-learn's 8x8 digits (17 grey levels). Bits/dim are of "
        "the 447 test images; a flow with dequantization reports an upper bound on them, which importance weighting "
        "tightens; a codec's are those of its file, which was read back and compared, without the model.",
        tables=[Table(["model", "test bits/dim"], list(numbers.items()), "How many bits a pixel costs")],
        pictures=draw(flow, data, out),
        configuration={"model": result["model"], **result["options"], **training},
    ).write(out / "report.html")


@torch.no_grad()
def draw(flow: Flow, data: Dataset, out: Path) -> list[tuple[Path, str]]:
    """Draw the demo's pictures into ``out`` and return them with their captions."""
    from pushforward.plots import save
    from pushforward.plots.pictures import image_grid

    top = (data.levels or 2) - 1
    image_grid(flow.sample(64), out / "samples.png", columns=16, maximum=top)
    ends = data.test[:8]
    image_grid(interpolate(flow, ends[:4], ends[4:]).flatten(0, 1), out / "interpolation.png", columns=8, maximum=top)
    image_grid(resample_levels(flow).flatten(0, 1), out / "levels.png", columns=8, maximum=top)
    save(_draw_dequantization(flow, data.test), out / "dequantization.png", dpi=120)
    save(_draw_curve(out / "metrics.csv"), out / "curve.png", dpi=120)
    captions = {
        "samples.png": "Samples.",
        "interpolation.png": "Interpolation between two test images in each row, through the latents of every level.",
        "levels.png": "Each row shares its final latent; what was factored out before it is drawn anew.",
        "dequantization.png": "What the learned dequantization adds to a grey level, and the values the flow sees.",
        "curve.png": "Training and validation.",
    }
    return [(out / name, caption) for name, caption in captions.items()]


def _draw_dequantization(flow: Flow, images: Tensor) -> Figure:
    levels = flow.levels or 1
    first = flow.transform[0]  # type: ignore[index]
    values = torch.stack([first(images)[0] for _ in range(16)]) * levels
    noise = (values - images).clamp(0, 1)
    figure = new_figure(10, 3)
    left, right = figure.subplots(1, 2)
    for level in (0, levels // 2, levels - 1):
        chosen = noise[:, images == level].flatten().numpy()
        left.hist(chosen, bins=50, range=(0, 1), density=True, histtype="step", label=f"level {level}")
    left.axhline(1, color="0.6", linestyle=":", label="uniform dequantization")
    left.set(xlabel="noise u", ylabel="density q(u | x)", title="Learned dequantization noise")
    left.legend(frameon=False)
    right.hist(values.flatten().numpy(), bins=8 * levels, density=True, color="C0")
    right.set(xlabel="dequantized value x + u", ylabel="density", yscale="log", title="What the flow sees")
    return figure


def _draw_curve(metrics: Path) -> Figure:
    with metrics.open() as file:
        rows = list(csv.DictReader(file))
    figure = new_figure(7, 3.5)
    axes = figure.subplots()
    for name, label in (("train", "training"), ("validation", "validation (averaged weights)")):
        column = f"{name}_bits_per_dim"
        points = np.array([(float(row["step"]), float(row[column])) for row in rows if row[column]])
        if len(points):
            axes.plot(points[:, 0], points[:, 1], label=label, alpha=0.9)
    axes.set(xlabel="step", ylabel="bits/dim (upper bound)", title="Training")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure
