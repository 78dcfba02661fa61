"""Variational autoencoders of MNIST, black and white by ``x > 127``, with every posterior: the negative evidence lower
bound on the 10,000 test images ("ours"), beside what is published ("other") after 2,000 epochs with convolutional
networks and another binarisation (van den Berg et al. 2018, arXiv:1803.05649, table 1).

All posteriors take the same steps, side by side: as many as there are in the budget, 20 minutes each on a processor,
and as long together where a GPU takes them at once. Of each the weights stay that held-out images of the training set
find best. A training of thousands of steps draws its curves for the documentation.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch
from side_by_side import Training, train
from torch import Tensor

import pushforward as pf
from pushforward.data import load_data
from pushforward.errors import MissingExtraError
from pushforward.plots.style import new_figure, save, tidy

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
LEARNING_RATE = 1e-3
LATENTS = 64
WIDTH = 400
"""Of the encoder's two hidden layers, the decoder's one and the masked networks' two: where the decoder has little
capacity, it cannot bend the true posterior to the shape of a poor one."""
UNITS = 32
"""Of a Sylvester map."""
WARMUP = 0.2
"""The share of the steps in which the divergence's weight rises."""
JUDGES = 2000
"""How many held-out images draw the curves."""
WEIGHED = 500
"""Of the test images those whose bound importance weights tighten."""
IMPORTANCE_SAMPLES = 100
DRAWN_FROM = 5000
"""Steps."""
CURVES = Path(__file__).parents[2] / "docs" / "pictures" / "autoencoder-curves.png"

Curve = list[tuple[float, float]]


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train one autoencoder for each posterior."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = load_data(f"mnist:{data / 'mnist'}")
    events, judges, test = (black_and_white(each) for each in (images.train, images.validation, images.test))
    events, judges = events.to(device), judges[:JUDGES].to(device)
    trainings = {name: Training(model(name).to(device), events, BATCH, LEARNING_RATE, WARMUP) for name in PUBLISHED}
    together = (seconds or SECONDS) * (1 if device.type == "cuda" else len(trainings))
    steps = train(list(trainings.values()), judges, together)
    bounds = {name: -pf.training.evaluate(training.best, test).log_prob for name, training in trainings.items()}
    rows = [line(name, trainings[name].best, bounds[name], test[:WEIGHED], steps) for name in PUBLISHED]
    if steps >= DRAWN_FROM:
        with suppress(MissingExtraError):
            draw({name: training.curve for name, training in trainings.items()}, CURVES)
    return rows + [gain(name, bounds) for name in ("iaf", "sylvester")]


def black_and_white(images: Tensor) -> Tensor:
    """Pixels of 0 and 1."""
    return (torch.as_tensor(images) > 127).to(torch.float32)


def model(name: str) -> pf.Flow:
    """The autoencoder of a posterior; the networks start alike."""
    torch.manual_seed(0)
    shape = (1, 28, 28)
    decoder = pf.networks.DenseDecoder(LATENTS, shape, hidden=(WIDTH,))
    return pf.models.vae(
        shape=shape, levels=2, latents=LATENTS, posterior=name, decoder=decoder, hidden=WIDTH, units=UNITS
    )


def line(name: str, flow: pf.Flow, bound: float, weighed: Tensor, steps: int) -> dict[str, object]:
    """What a posterior came to."""
    tight = pf.training.evaluate(flow, weighed, importance_samples=IMPORTANCE_SAMPLES)
    shown = f"{-tight.log_prob:.2f} by {IMPORTANCE_SAMPLES} importance samples on {len(weighed)}"
    what = f"{name}: negative bound in nats after {steps:,} steps ({shown})"
    return {"what": what, "ours": bound, "other": PUBLISHED[name], "asked": "the published order"}


def gain(name: str, bounds: dict[str, float]) -> dict[str, object]:
    """How much better a posterior is than the diagonal one."""
    published = (PUBLISHED["diagonal"] or 0.0) - (PUBLISHED[name] or 0.0)
    what = f"{name}: nats better than diagonal"
    return {"what": what, "ours": bounds["diagonal"] - bounds[name], "other": published, "asked": "at least 1.5"}


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Draw the curves, cut where they begin."""
    figure = new_figure(7, 4.5)
    axes = figure.add_subplot()
    for index, (name, curve) in enumerate(curves.items()):
        axes.plot(*zip(*curve, strict=True), label=name, color=f"C{index}", linewidth=1.2)
    ends = [min(bound for _, bound in curve) for curve in curves.values()]
    axes.set(xlabel="steps", ylabel="negative bound (nats)", ylim=(min(ends) - 1, max(ends) + 15))
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)
    save(figure, path)
