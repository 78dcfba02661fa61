"""Backbone angles of proteins: the model ``torus``, trained for 300 seconds, beside a smoothed histogram and zuko's
neural circular spline flow of the same budget, in nats per residue (of densities per square degree) on a tenth of the
residues that none of them has seen.

Residues are drawn from the counts of cells of 4 degrees and spread evenly within their cell; the histogram is that of
the training part, smoothed around the torus by a normal kernel whose width the validation part chooses.

``python -m spaces_rows.backbone COUNTS FILE`` in this folder draws the density of the flow beside the histogram.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import zuko
from torch import Tensor

import pushforward as pf

SECONDS = 300.0
BATCH, LEARNING_RATE = 512, 5e-3
CELL = 4.0
WIDTHS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
"""Of kernels, in cells."""


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """The flow, and what it is compared with."""
    train, validation, test = residues(np.load(data / "torus" / "ramachandran_counts.npy"))
    histogram = smoothed_histogram(train, validation)
    smooth = cross_entropy(histogram, test)
    ours = -pf.training.evaluate(torus(train, validation, seconds or SECONDS), test).log_prob
    theirs = zuko_flow(train, test, seconds or SECONDS)
    return [
        {"what": "torus and smoothed histogram", "ours": ours, "other": smooth, "asked": "at most 0.03 above"},
        {"what": "torus and zuko's NCSF", "ours": ours, "other": theirs, "asked": None},
    ]


def residues(counts: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """As many pairs of angles in degrees as were counted, in 80, 10 and 10 per cent."""
    random = np.random.default_rng(0)
    cells = random.choice(counts.size, size=int(counts.sum()), p=counts.ravel() / counts.sum())
    corners = np.stack(np.unravel_index(cells, counts.shape), -1)
    angles = torch.as_tensor(CELL * (corners + random.random(corners.shape)) - 180.0, dtype=torch.float32)
    train, validation, test = angles.split([len(angles) - 2 * (len(angles) // 10), *[len(angles) // 10] * 2])
    return train, validation, test


def smoothed_histogram(train: Tensor, validation: Tensor) -> Tensor:
    """The logarithms of densities per square degree in each cell."""
    counts = torch.zeros(90, 90, dtype=torch.float64).index_put_(
        cells_of(train), torch.ones(len(train), dtype=torch.float64), accumulate=True
    )
    smoothed = [smooth(counts / counts.sum(), width) for width in WIDTHS]
    return min(smoothed, key=lambda log_density: cross_entropy(log_density, validation))


def smooth(shares: Tensor, width: float) -> Tensor:
    """The log-densities after a wrapped normal kernel of this width in cells, with a thousandth of the uniform one."""
    distance = torch.minimum(steps := torch.arange(90.0, dtype=torch.float64), 90 - steps)
    kernel = torch.exp(-0.5 * (distance / width).square())
    spectrum = torch.fft.fft(kernel / kernel.sum())
    spread = torch.fft.ifft2(torch.fft.fft2(shares) * spectrum[:, None] * spectrum).real.clamp_min(0.0)
    return torch.log((0.999 * spread + 0.001 / spread.numel()) / CELL**2)


def cross_entropy(log_density: Tensor, x: Tensor) -> float:
    return -log_density[cells_of(x)].mean().item()


def cells_of(x: Tensor) -> tuple[Tensor, Tensor]:
    first, second = ((x + 180.0) / CELL).long().clamp(0, 89).unbind(-1)
    return first, second


def torus(train: Tensor, validation: Tensor, seconds: float) -> pf.Flow:
    """The model ``torus``, trained."""
    torch.manual_seed(0)
    flow = pf.models.torus(features=2, components=16, bins=16, space=pf.spaces.Circle((2,), -180.0, 180.0))
    pf.fit(flow, train, validation, max_time=seconds, batch_size=BATCH, learning_rate=LEARNING_RATE, progress=False)
    return flow


def zuko_flow(train: Tensor, test: Tensor, seconds: float) -> float:
    """The cross-entropy of zuko's flow, by the same batches and rate."""
    torch.manual_seed(0)
    flow = zuko.flows.NCSF(2, transforms=2, bins=16, hidden_features=(64, 64))
    radian = math.pi / 180.0
    optimiser, began = torch.optim.Adam(flow.parameters(), LEARNING_RATE), time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * spent / seconds))
        batch = train[torch.randint(len(train), (BATCH,))]
        optimiser.zero_grad()
        (-flow().log_prob(batch * radian).mean()).backward()
        optimiser.step()
    with torch.no_grad():
        return -flow().log_prob(test * radian).mean().item() - 2 * math.log(radian)


def draw(counts: str, path: str) -> None:
    """Draw both densities."""
    from pushforward.plots.style import new_figure
    from pushforward.plots.two_dimensions import draw_density

    train, validation, _ = residues(np.load(counts))
    histogram, flow = smoothed_histogram(train, validation), torus(train, validation, SECONDS)
    figure = new_figure(8.0, 4.0)
    panels = {"smoothed histogram": lambda x: histogram[cells_of(x)], "torus": flow.log_prob}
    for axes, (name, log_density) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        draw_density(axes, log_density, (-180.0, 180.0, -180.0, 180.0), 360)
        axes.set_title(name)
    pf.plots.save(figure, path)


if __name__ == "__main__":
    draw(*sys.argv[1:])
