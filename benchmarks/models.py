"""What every named model costs as it comes: parameters, and the time of densities and samples, as rows of a table.

    python benchmarks/models.py [MODEL ...]

Untrained, of default options but for what a model cannot do without: vectors of 8 numbers, images of 8 x 8 pixels of 17
levels, clips of 2 such images, spheres of ordinary space, on one thread, eager. ``docs/choose.md`` shows the rows.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

import pushforward as pf
from pushforward.models import recipe_options

EVENTS = 100
IMAGES = {"shape": (1, 8, 8), "levels": 17}
NEEDED: dict[str, dict[str, Any]] = {
    "cdf-1d": {},
    "cdf-2d": {},
    "discrete-flow": {"features": 8, "classes": 5},
    "nade": {"features": 8, "classes": 2},
    "videoflow": {"clip": (2, 1, 8, 8), "first": 0, "levels": 17},
    "sphere-cnf": {},
    "sphere-exponential": {},
    "sphere-recursive": {},
}


def options_of(name: str) -> dict[str, Any]:
    """What a model is made with here."""
    options = recipe_options(name)
    given = NEEDED.get(name, {"features": 8} if "features" in options else IMAGES)
    return {key: value for key, value in given.items() if key in options}


def milliseconds(run: Callable[[], object]) -> float:
    """The fastest of the calls in half a second, after one that is not counted: others may be using the processor."""
    run()
    times: list[float] = []
    while sum(times) < 0.5:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


@torch.no_grad()
def row(name: str) -> str:
    """A model's row."""
    torch.manual_seed(0)
    flow = pf.build(name, **options_of(name)).eval()
    x = flow.sample(EVENTS)
    density = milliseconds(lambda: flow.log_prob(x))
    samples = milliseconds(lambda: flow.sample(EVENTS))
    parameters = sum(parameter.numel() for parameter in flow.parameters())
    return f"| `{name}` | {flow.accuracy.describe()} | {parameters:,} | {_shown(density)} | {_shown(samples)} |"


def _shown(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:,.0f}"


def main(names: list[str]) -> None:
    """Print the rows of some models, or of all."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in names or pf.list_models():
        print(row(name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
