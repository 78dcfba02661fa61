"""Variational autoencoders of MNIST, black and white by ``x > 127``, with every posterior: the negative evidence lower
bound on the 10,000 test images ("ours"), beside what is published ("other") after 2,000 epochs with convolutional
networks and another binarisation (van den Berg et al. 2018, arXiv:1803.05649, table 1).

All posteriors take the same number of steps: as many as the slowest of them takes in the budget, 20 minutes each. A
picture of the curves is written where the budget is the full one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data import load_data
from pushforward.plots.style import new_figure, save, tidy
from pushforward.training import ELBO

PUBLISHED: dict[str, float | None] = {
    "diagonal": 86.55,
    "full": None,
    "copula": None,
    "planar": 86.06,
    "radial": None,
    "iaf": 84.20,
    "nsf": None,
    "sylvester": 83.32,
    "householder-sylvester": None,
    "triangular-sylvester": None,
}
SECONDS = 1200.0
BATCH = 100
LATENTS = 64
WARMUP = 0.1
"""The share of the steps in which the divergence's weight rises."""
TIMED_STEPS = 20
WEIGHED = 500
"""Of the test images those whose bound importance weights tighten."""
IMPORTANCE_SAMPLES = 200
CURVES = Path(__file__).parents[2] / "docs" / "pictures" / "autoencoder-curves.png"


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train one autoencoder for each posterior."""
    images = load_data(f"mnist:{data / 'mnist'}")
    train, test = (black_and_white(each) for each in (images.train, images.test))
    slowest = max(step_seconds(name, train) for name in PUBLISHED)
    steps = max(TIMED_STEPS, int((seconds or SECONDS) / slowest))
    curves: dict[str, list[tuple[float, float]]] = {}
    bounds: dict[str, float] = {}
    rows: list[dict[str, object]] = []
    for name, published in PUBLISHED.items():
        flow, curves[name] = trained(name, train, test[:1000], steps)
        bounds[name] = -pf.training.evaluate(flow, test).log_prob
        weighed = pf.training.evaluate(flow, test[:WEIGHED], importance_samples=IMPORTANCE_SAMPLES)
        tight = f"{-weighed.log_prob:.2f} by {IMPORTANCE_SAMPLES} importance samples on {WEIGHED}"
        what = f"{name}: negative bound in nats after {steps:,} steps ({tight})"
        rows.append({"what": what, "ours": bounds[name], "other": published, "asked": "the published order"})
    if seconds is None:
        draw(curves)
    return rows + [gain(name, bounds) for name in ("iaf", "sylvester")]


def black_and_white(images: Tensor) -> Tensor:
    """Pixels of 0 and 1."""
    return (torch.as_tensor(images) > 127).to(torch.float32)


def model(name: str) -> pf.Flow:
    """The autoencoder of a posterior; the networks start alike."""
    torch.manual_seed(0)
    return pf.models.vae(shape=(1, 28, 28), levels=2, latents=LATENTS, posterior=name)


def step_seconds(name: str, train: Tensor) -> float:
    """How long a training step takes."""
    flow, objective = model(name), ELBO()
    objective(flow, train[:BATCH]).backward()
    began = time.perf_counter()
    for _ in range(TIMED_STEPS):
        objective(flow, train[:BATCH]).backward()
    # Adam and the average of the weights take about as long as a tenth of it.
    return 1.1 * (time.perf_counter() - began) / TIMED_STEPS


def trained(name: str, train: Tensor, held_out: Tensor, steps: int) -> tuple[pf.Flow, list[tuple[float, float]]]:
    """A flow after so many steps, and its curve: steps and negative bounds of held-out images."""
    flow = model(name)
    result = pf.fit(
        flow,
        train,
        held_out,
        objective=ELBO(warmup_steps=int(WARMUP * steps)),
        max_steps=steps,
        batch_size=BATCH,
        validate_every=max(1, steps // 50),
        compile=False,
        seed=0,
        progress=False,
    )
    rows: list[dict[str, Any]] = [row for row in result.history if row["val_loss"] is not None]
    return flow, [(row["step"], row["val_loss"]) for row in rows]


def gain(name: str, bounds: dict[str, float]) -> dict[str, object]:
    """How much better a posterior is than the diagonal one."""
    published = (PUBLISHED["diagonal"] or 0.0) - (PUBLISHED[name] or 0.0)
    what = f"{name}: nats better than diagonal"
    return {"what": what, "ours": bounds["diagonal"] - bounds[name], "other": published, "asked": "at least 1.5"}


def draw(curves: dict[str, list[tuple[float, float]]]) -> None:
    """Draw the curves, cut where they begin."""
    figure = new_figure(7, 4.5)
    axes = figure.add_subplot()
    for index, (name, curve) in enumerate(curves.items()):
        axes.plot(*zip(*curve, strict=True), label=name, color=f"C{index}", linewidth=1.2)
    ends = [curve[-1][1] for curve in curves.values()]
    axes.set(xlabel="steps", ylabel="negative bound (nats)", ylim=(min(ends) - 1, max(ends) + 15))
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)
    save(figure, CURVES)
