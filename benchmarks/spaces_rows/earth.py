"""Places of volcanic eruptions, earthquakes and floods: held-out negative log-likelihoods in nats per event, with
respect to the surface of the unit sphere, means of five seeds of the training. The split is 80/10/10, the same for all.
The others are published, of other splits: Riemannian flow matching (Chen, Lipman 2023, arXiv:2302.03660), the best of
what it was compared with. Run as a program, ``python benchmarks/spaces_rows/earth.py FOLDER PICTURE [SECONDS]``, it
draws maps of the three densities."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np
import torch

import pushforward as pf

BUDGET, RATE = 300.0, 5e-3
SEEDS = range(5)
PUBLISHED = {"volcano": -7.93, "earthquake": -0.28, "flood": 0.42}
ASKED = {"volcano": "< -4", "earthquake": "<= -0.28", "flood": "<= 0.42"}


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train on each kind of event and score what was held out."""
    rows: list[dict[str, object]] = []
    for name, published in PUBLISHED.items():
        places = read(data, name)
        scores = [held_out(trained(places, seconds or BUDGET, seed), places) for seed in SEEDS]
        spread = statistics.stdev(scores)
        what = f"{name}: nats per event, standard deviation {spread:.2f} of {len(scores)} seeds"
        rows.append({"what": what, "ours": statistics.mean(scores), "other": published, "asked": ASKED[name]})
    return rows


def read(data: Path, name: str) -> pf.data.Dataset:
    """The places as unit vectors, split."""
    degrees = np.loadtxt(data / "earth" / f"{name}.csv", delimiter=",", skiprows=1)
    return pf.data.split(name, pf.data.as_unit_vectors(degrees.astype(np.float32)))


def trained(places: pf.data.Dataset, seconds: float, seed: int = 0) -> pf.Flow:
    """The model, trained by flow matching."""
    torch.manual_seed(seed)
    flow = pf.models.sphere_cnf(features=3)
    pf.fit(flow, places.train, max_time=seconds, learning_rate=RATE, seed=seed, progress=False)
    return flow


def held_out(flow: pf.Flow, places: pf.data.Dataset) -> float:
    """The negative log-likelihood of the places that were held out."""
    with torch.no_grad():
        return -flow.log_prob(places.test).mean().item()


def draw(data: str, path: str, seconds: str = str(BUDGET)) -> None:
    """Draw a map of each density."""
    from pushforward.plots.spheres import draw_map
    from pushforward.plots.style import new_figure

    figure = new_figure(7.0, 11.0)
    for index, name in enumerate(PUBLISHED, 1):
        axes = figure.add_subplot(3, 1, index, projection="mollweide")
        draw_map(axes, trained(read(Path(data), name), float(seconds)).log_prob, 180)
        axes.set_title(name)
    pf.plots.save(figure, path)


if __name__ == "__main__":
    draw(*sys.argv[1:])
