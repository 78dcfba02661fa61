"""What the demo shows: pictures of what the flow learned, and a page with them and the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.diagnostics.interpolation import interpolate
from pushforward.diagnostics.levels import resample_levels
from pushforward.flows.flow import Flow
from pushforward.plots.style import new_figure
from pushforward.training.runs.folder import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pushforward.reports import Picture

_CAPTIONS = {
    "samples.png": ("Samples.", "A grid of small grey images, most of which look like handwritten digits."),
    "interpolation.png": (
        "Interpolation between two test images in each row, through the latents of every level.",
        "Rows of eight images each, the first digit turning into the last.",
    ),
    "levels.png": (
        "Each row shares its final latent; what was factored out before it is drawn anew.",
        "Rows of images that share their coarse shape and differ in detail.",
    ),
    "dequantization.png": (
        "What the learned dequantization adds to a grey level, and the values the flow sees.",
        "Left, densities of the noise of three grey levels beside a uniform one; right, a histogram of all values.",
    ),
    "curve.png": ("Training and validation.", "Two curves of bits per dimension over the steps of the training."),
}


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
    from pushforward.reports import Report, Section, Table

    numbers = result["test bits/dim"]
    Report(
        title="Pushforward: the digits demo",
        text=f"A {result['model']} flow of {result['parameters']:,} parameters, trained and measured in "
        f"{result['seconds']:.0f} s on the first 1000 of scikit-learn's 8x8 digits (17 grey levels). Bits/dim are of "
        "the 447 test images; a flow with dequantization reports an upper bound on them, which importance weighting "
        "tightens; a codec's are those of its file, which was read back and compared, without the model.",
        sections=[
            Section("How many bits a pixel costs", content=[Table(["model", "test bits/dim"], list(numbers.items()))]),
            Section("Pictures", content=draw(flow, data, out)),
        ],
        configuration={"model": result["model"], **result["options"], **training},
    ).write(out / "report.html")


@torch.no_grad()
def draw(flow: Flow, data: Dataset, out: Path) -> list[Picture]:
    """Draw the demo's pictures into ``out`` and return them with their captions."""
    from pushforward.plots import save
    from pushforward.plots.pictures import image_grid
    from pushforward.reports import Picture, training_curve

    top = (data.levels or 2) - 1
    image_grid(flow.sample(64), out / "samples.png", columns=16, maximum=top)
    ends = data.test[:8]
    image_grid(interpolate(flow, ends[:4], ends[4:]).flatten(0, 1), out / "interpolation.png", columns=8, maximum=top)
    image_grid(resample_levels(flow).flatten(0, 1), out / "levels.png", columns=8, maximum=top)
    save(_draw_dequantization(flow, data.test), out / "dequantization.png", dpi=120)
    curve = training_curve(out / METRICS)
    if curve is not None:
        save(curve, out / "curve.png", dpi=120)
    return [Picture.of_file(out / name, *told) for name, told in _CAPTIONS.items() if (out / name).is_file()]


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
