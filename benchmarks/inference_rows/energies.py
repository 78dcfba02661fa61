"""The four energies of Rezende and Mohamed fitted by seven flows, and the time of a banana by a neural spline flow.

Each fit takes 1,000 steps of 512 samples, in the first 400 of which the density grows from nearly flat.

For each energy and flow: the normaliser by the flow's importance weights with its error, the divergence ``log Z -
ELBO`` (of stochastic flows that of their paths, which is larger) and Pareto-k ("ours"), beside the normaliser by
quadrature ("other"). The last three energies are densities on ``|z_1| <= 4``, declared as the interval.

The banana is fitted in 400 steps of 256 samples, by `fit_posterior` ("ours"), with path gradients as it chooses and
with the gradient of the whole, and with the latter by a loop as one writes it by hand on ``rsample_and_log_prob``
("other"); all are the seconds of 400 steps.

``python -m inference_rows.energies FILE`` in this folder draws the densities of the spline flow beside the true ones.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data.toys.energies import ENERGIES
from pushforward.inference import Divergence, ReverseKL, UnconstrainedDensity, VariationalPosterior, fit_posterior
from pushforward.transforms import Coupling, Elementwise, Inverse, Planar, Radial, masks

NORMALISERS = {"energy-1": 1.877502, "energy-2": 2.082714, "energy-3": 2.642330, "energy-4": 2.711323}
"""``log Z`` by quadrature, of the last three on ``|z_1| <= 4``."""

STEPS, BANANA_STEPS, SAMPLES = 1000, 400, 256
BANANA_NORMALISER = math.log(2 * math.pi)
OPTIONS: dict[str, Any] = {"batch_size": 512, "annealing": 0.4, "learning_rate": 5e-3, "draws": 50_000, "seed": 0}
STRIP = pf.spaces.Product(pf.spaces.Interval(-4.0, 4.0, (1,)), pf.spaces.Reals((1,)))
BOUNDS = (-3.98, 3.98, -3.98, 3.98)
"""Of the pictures, within the strip: at its very ends a flow has spikes that no eye sees."""


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Fit every energy by every flow; a budget that is given is that of all fits together."""
    warnings.simplefilter("ignore")
    budget = None if seconds is None else seconds / (len(ENERGIES) * len(FLOWS) + 3)
    fits = [row(energy, flow, budget) for energy in ENERGIES for flow in FLOWS]
    by_hand = seconds_by_hand(budget)
    return [*fits, *(banana_row(divergence, by_hand, budget) for divergence in (None, ReverseKL()))]


def row(energy: str, flow: str, budget: float | None) -> dict[str, object]:
    """One energy by one flow."""
    posterior, exact = fitted(energy, flow, budget), NORMALISERS[energy]
    divergence, steps = exact - posterior.elbo.value, len(posterior.history)
    return {
        "what": f"{energy} by {flow}: log Z, KL, Pareto-k after {steps} steps, {posterior.seconds:.0f} s",
        "ours": f"{posterior.log_normaliser}, {divergence:.3f}, {posterior.pareto_shape:.2f}",
        "other": f"{exact:.6f}",
        "asked": "log Z within 0.02" + (", KL under 0.05" if flow == "nsf" else ""),
    }


def fitted(energy: str, flow: str, budget: float | None) -> VariationalPosterior:
    """The posterior of an energy."""
    function, space = ENERGIES[energy], pf.spaces.Reals((2,)) if energy == "energy-1" else STRIP

    def log_density(z: Tensor) -> Tensor:
        return -function(z)

    torch.manual_seed(0)
    made = FLOWS[flow](UnconstrainedDensity(log_density, space))
    return fit_posterior(log_density, made, parameters=space, steps=STEPS, max_time=budget, **OPTIONS)


def planar(density: UnconstrainedDensity) -> pf.Flow:
    """32 planar maps, quick from latent to data."""
    return of_layers(*[Inverse(Planar(2)) for _ in range(32)])


def radial(density: UnconstrainedDensity) -> pf.Flow:
    """32 radial maps, quick from latent to data."""
    return of_layers(*[Inverse(Radial(2)) for _ in range(32)])


def nice(density: UnconstrainedDensity) -> pf.Flow:
    """Eight additive couplings."""
    kept = masks.halves(2)
    return of_layers(
        *[Coupling(~kept if layer % 2 else kept, pf.scalar.Additive(), pf.networks.MLP) for layer in range(8)]
    )


def of_layers(*layers: pf.transforms.Transform) -> pf.Flow:
    """A flow of layers and a scale and a shift of each dimension."""
    scaled = Elementwise(pf.scalar.Affine(), (2,))
    return pf.Flow([scaled, *layers], pf.distributions.StandardNormal((2,)))


FLOWS: dict[str, Callable[[UnconstrainedDensity], pf.Flow]] = {
    "planar": planar,
    "radial": radial,
    "nice": nice,
    "iaf": lambda density: pf.models.iaf(features=2, hidden=64),
    "nsf": lambda density: pf.models.nsf(features=2, layers=4, hidden=64),
    "langevin": lambda density: pf.models.snf(
        features=2, layers=3, hidden=32, kernel="langevin", steps=2, target=density
    ),
    "hamiltonian": lambda density: pf.models.hamiltonian_vi(features=2, layers=10, target=density),
}


def banana(x: Tensor) -> Tensor:
    """A bent normal, ``x_1 ~ N(0, 4)``, ``x_2 ~ N((x_1^2 - 4) / 4, 1 / 4)``, up to a constant."""
    first, second = x.unbind(-1)
    return -0.5 * (first / 2).square() - 2 * (second - 0.25 * (first.square() - 4)).square()


def banana_row(divergence: Divergence | None, by_hand: float, budget: float | None) -> dict[str, object]:
    """Seconds of 400 steps by a neural spline flow with the model's own sizes."""
    torch.manual_seed(0)
    flow = pf.models.nsf(features=2)
    options: dict[str, Any] = {
        "steps": BANANA_STEPS,
        "max_time": budget,
        "batch_size": SAMPLES,
        "draws": 10_000,
        "seed": 0,
    }
    about = 3 * torch.randn(500, 2)
    posterior = fit_posterior(banana, flow, divergence=divergence, start=about, **options)
    gap = BANANA_NORMALISER - posterior.elbo.value
    return {
        "what": f"banana by nsf, {divergence or 'as chosen'}: seconds of {BANANA_STEPS} steps (KL {gap:.4f})",
        "ours": posterior.seconds * BANANA_STEPS / len(posterior.history),
        "other": by_hand,
        "asked": "at most 15 (seen by hand on a busy machine: 42)",
    }


def seconds_by_hand(budget: float | None) -> float:
    """Seconds of 400 steps of a plain loop."""
    torch.manual_seed(0)
    flow = pf.models.nsf(features=2)
    optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
    began, steps = time.monotonic(), 0
    while steps < BANANA_STEPS and (budget is None or time.monotonic() - began < budget):
        x, log_q = flow.rsample_and_log_prob(SAMPLES)
        optimiser.zero_grad()
        (log_q - banana(x)).mean().backward()
        optimiser.step()
        steps += 1
    return (time.monotonic() - began) * BANANA_STEPS / steps


def draw(path: str) -> None:
    """Draw the four true densities above those of the spline flow."""
    from pushforward.plots.style import new_figure
    from pushforward.plots.two_dimensions import draw_density

    figure = new_figure(11.0, 5.6)
    grid = figure.subplots(2, len(ENERGIES))
    for (true, found), (name, energy) in zip(grid.T, ENERGIES.items(), strict=True):
        draw_density(true, lambda z, energy=energy: -energy(z), BOUNDS, 200)
        true.set_title(name)
        draw_density(found, fitted(name, "nsf", None).log_prob, BOUNDS, 200)
    pf.plots.save(figure, path)


if __name__ == "__main__":
    draw(sys.argv[1])
