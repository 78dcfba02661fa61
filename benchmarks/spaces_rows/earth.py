"""Places of volcanic eruptions, earthquakes and floods: held-out negative log-likelihoods in nats per event, with
respect to the surface of the unit sphere. The split is 80/10/10, the same for all.

Kernel densities of the training events, ``SphereKernelDensity``, come out the same for every seed; beside them stands
``sphere-cnf``, the mean of five seeds of the training, stopped where the likelihood of the validation part is highest.
Many held-out events lie at the coordinates of one in the training part, where a density gains without bound as it gets
narrower; those at new coordinates are scored by themselves too. The others are published, of other splits: Riemannian
flow matching (Chen, Lipman 2023, arXiv:2302.03660), the best of what it was compared with.

As a program, ``python benchmarks/spaces_rows/earth.py FOLDER KIND SEED [SECONDS]`` gives one line of one training, and
``python benchmarks/spaces_rows/earth.py FOLDER PICTURE`` draws maps of the three kernel densities."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
from pushforward.training.objectives import objective_for

BUDGET, RATE = 200.0, 3e-3
SEEDS = range(5)
PUBLISHED = {"volcano": -7.93, "earthquake": -0.28, "flood": 0.42}
ASKED = {"volcano": "< -4", "earthquake": "<= -0.28", "flood": "<= 0.42"}


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Score what was held out of each kind of event by kernels and by flows."""
    rows: list[dict[str, object]] = []
    for kind, published in PUBLISHED.items():
        places = read(data, kind)
        density, new = kernels(places), at_new_places(places)
        share = f"{len(new) / len(places.test):.0%} of the events, at new coordinates"
        scores = [held_out(trained(places, seconds or BUDGET, seed), places.test) for seed in SEEDS]
        flows = f"sphere-cnf, standard deviation {statistics.stdev(scores):.2f} of {len(scores)} seeds"
        rows += [
            _row(f"{kind}: nats per event, kernels", held_out(density, places.test), published, ASKED[kind]),
            _row(f"{kind}: {share}, kernels", held_out(density, new), None, ""),
            _row(f"{kind}: nats per event, {flows}", statistics.mean(scores), published, ""),
        ]
    return rows


def read(data: Path, kind: str) -> pf.data.Dataset:
    """The places as unit vectors, split."""
    degrees = np.loadtxt(data / "earth" / f"{kind}.csv", delimiter=",", skiprows=1)
    return pf.data.split(kind, pf.data.as_unit_vectors(degrees.astype(np.float32)))


def kernels(places: pf.data.Dataset) -> pf.distributions.SphereKernelDensity:
    """The kernel density of the training part."""
    density = pf.distributions.SphereKernelDensity(places.train)
    pf.fit(density, places.train, progress=False)
    return density


def trained(places: pf.data.Dataset, seconds: float, seed: int = 0) -> pf.Flow:
    """The flow, trained by flow matching and judged by its likelihood."""
    torch.manual_seed(seed)
    flow = pf.models.sphere_cnf(features=3, tolerance=1e-4)
    matching = objective_for(flow)

    def objective(flow: pf.Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        return matching(flow, x, context) if flow.training else -flow.log_prob(x, context).mean()

    options = {"max_time": seconds, "learning_rate": RATE, "validate_every": 500, "seed": seed, "progress": False}
    pf.fit(flow, places, objective=objective, **options)
    return flow


def at_new_places(places: pf.data.Dataset) -> Tensor:
    """The test events at whose coordinates there is none to train on."""
    known = {tuple(event) for event in places.train.tolist()}
    return places.test[[tuple(event) not in known for event in places.test.tolist()]]


@torch.no_grad()
def held_out(density: pf.distributions.Distribution, events: Tensor) -> float:
    """The negative log-likelihood of events."""
    return -density.log_prob(events).mean().item()


def _row(what: str, ours: float, other: float | None, asked: str) -> dict[str, object]:
    return {"what": what, "ours": ours, "other": other, "asked": asked}


def score(data: str, kind: str, seed: str, seconds: str = str(BUDGET)) -> None:
    """Print what one training of the flow reaches, and the kernels beside it."""
    places = read(Path(data), kind)
    density, flow = kernels(places), trained(places, float(seconds), int(seed))
    parts = {"validation": places.validation, "test": places.test, "new": at_new_places(places)}
    found = {
        name: {part: held_out(each, events) for part, events in parts.items()}
        for name, each in (("kernels", density), ("sphere-cnf", flow))
    }
    print(json.dumps({"kind": kind, "seed": int(seed), "seconds": float(seconds), **found}))


def draw(data: str, path: str) -> None:
    """Draw a map of each density and the events that were held out."""
    from pushforward.plots.spheres import draw_map, draw_places
    from pushforward.plots.style import new_figure

    figure = new_figure(7.0, 10.5)
    for index, kind in enumerate(PUBLISHED, 1):
        axes, places = figure.add_subplot(3, 1, index, projection="mollweide"), read(Path(data), kind)
        drawn = draw_map(axes, kernels(places).log_prob, 90)
        draw_places(axes, places.test)
        axes.set_title(f"{kind}: {len(places.train)} events make the density, {len(places.test)} others are dots")
        figure.colorbar(drawn, ax=axes, shrink=0.7, label="log10 of the density")
    pf.plots.save(figure, path)


if __name__ == "__main__":
    (score if sys.argv[2] in PUBLISHED else draw)(*sys.argv[1:])
