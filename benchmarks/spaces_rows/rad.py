"""Densities of several parts on the plane, in nats above their own entropy: RAD, two pieces of each dimension and
spline couplings ("ours"), beside RealNVP and beside a neural spline flow ("other"), both with no fewer parameters, in
the same time; a lead is at most what the other is above the entropy. Then, of two disjoint squares, the share of
samples in the gap between them: a mixture of two flows beside one flow of as many parameters.

Where the environment names a folder in ``PICTURES``, the partition of each density is drawn there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data.toys import Rings, ToyDensity, toy

SECONDS = 120.0
ROWS, TEST = 100_000, 20_000
HIDDEN, PIECES, LAYERS = 64, 2, 4
# The two gates of RAD are as large as two more couplings, and splines have more parameters than affine maps.
OTHERS = {"realnvp": 8, "nsf-coupling": 6}
# Of squares, whose density ends at once 1.7 deviations from their middles.
SHARP = {"bins": 16, "bound": 2.5}
DENSITIES: dict[str, Callable[[], ToyDensity]] = {
    "ring": lambda: Rings((2.0,), 0.1),
    "rings": Rings,
    "checkerboard": lambda: toy("checkerboard"),
    "eight Gaussians": lambda: toy("gaussians"),
}


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train both on each density and measure."""
    budget = seconds or SECONDS
    return [row for name in DENSITIES for row in rows(name, budget)] + [gap(budget)]


def rows(name: str, seconds: float) -> list[dict[str, object]]:
    """One density."""
    density, generator = DENSITIES[name](), torch.Generator().manual_seed(0)
    train, test = density.sample(ROWS, generator), density.sample(TEST, generator)
    entropy = -density.log_prob(test).mean().item()
    torch.manual_seed(0)
    ours = pf.models.rad(features=2, layers=LAYERS, hidden=HIDDEN, pieces=PIECES)
    excess = trained(ours, train, test, seconds) - entropy
    draw(ours, test, name)
    found: list[dict[str, object]] = []
    for model, layers in OTHERS.items():
        other = pf.build(model, features=2, layers=layers, hidden=HIDDEN)
        sizes = " and ".join(f"{sum(each.numel() for each in flow.parameters()):,}" for flow in (ours, other))
        found.append(
            {
                "what": f"{name}: nats above the entropy, beside {model} ({sizes} parameters)",
                "ours": excess,
                "other": trained(other, train, test, seconds) - entropy,
                "asked": "better by 0.1" if model == "realnvp" else "",
            }
        )
    return found


def gap(seconds: float) -> dict[str, object]:
    """Two squares of side 2 at a distance of 2."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(ROWS, 2, generator=generator) - 1
    x[:, 0] += 4.0 * torch.randint(2, (ROWS,), generator=generator) - 2.0
    torch.manual_seed(0)
    halves = [pf.models.nsf_coupling(features=2, layers=2, hidden=HIDDEN, **SHARP) for _ in range(2)]
    ours = pf.Flow(pf.transforms.Standardise(2), pf.distributions.Mixture(halves))
    other = pf.models.nsf_coupling(features=2, layers=4, hidden=HIDDEN, **SHARP)
    shares = []
    for flow in (ours, other):
        trained(flow, x, x[:TEST], seconds, learning_rate=5e-3)
        drawn = flow.sample(TEST, generator=torch.Generator().manual_seed(1))
        shares.append(100 * (drawn[:, 0].abs() < 1.0).double().mean().item())
    return {"what": "two squares: % of samples between", "ours": shares[0], "other": shares[1], "asked": "< 1"}


def trained(flow: pf.Flow, train: Tensor, test: Tensor, seconds: float, learning_rate: float = 2e-3) -> float:
    """Train and return the negative log-likelihood of the test rows."""
    began = time.monotonic()
    pf.fit(flow, train, batch_size=512, max_time=seconds, learning_rate=learning_rate, seed=0, progress=False)
    with torch.no_grad():
        found = -flow.log_prob(test).mean().item()
    print(f"  {type(flow).__name__}: {found:.4f} nats after {time.monotonic() - began:.0f} s", flush=True)
    return found


def draw(flow: pf.Flow, x: Tensor, name: str) -> None:
    """Draw the density beside the regions of the plane."""
    folder = os.environ.get("PICTURES")
    if folder:
        figure = pf.plots.regions_2d(flow, x)
        pf.plots.save(figure, Path(folder) / f"rad-{name.replace(' ', '-')}.png", dpi=120)
