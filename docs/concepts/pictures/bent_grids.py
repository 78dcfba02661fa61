"""A square grid of the plane, and what a layer of each structure makes of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import torch
from colours import BLUE, ORANGE
from matplotlib.figure import Figure
from torch import Tensor

import pushforward as pf
from pushforward.networks import MADE, MLP, ConcatSquashMLP
from pushforward.transforms import Autoregressive, Chain, Continuous, Coupling, Planar, Radial, Transform, lu, masks

LINES = torch.linspace(-2, 2, 11)
ALONG = torch.linspace(-2, 2, 41)


def bent_grid(layer: Transform, seed: int, scale: float) -> Figure:
    """The grid of x, and of z beside it, at random parameters."""
    pf.testing.randomise(layer.eval(), scale, torch.Generator().manual_seed(seed))
    figure, (before, after) = plt.subplots(1, 2, figsize=(6.4, 3.2), layout="constrained")
    for axis, name, image in [(before, "x", _same), (after, "z", layer.encode)]:
        for level in LINES:
            upright = torch.stack([level.expand(len(ALONG)), ALONG], -1)
            for line, colour in [(upright, BLUE), (upright.flip(-1), ORANGE)]:
                axis.plot(*image(line).detach().T, color=colour, linewidth=1)
        axis.set(aspect="equal", xlabel=f"{name}$_1$", ylabel=f"{name}$_2$")
    return figure


def _same(x: Tensor) -> Tensor:
    return x


def coupling() -> Figure:
    """Upright lines stay upright: their number is kept."""
    torch.manual_seed(0)
    layer = Coupling(masks.halves(2), pf.scalar.Affine(), partial(MLP, hidden=(16,)))
    return bent_grid(layer, seed=2, scale=1.2)


def autoregressive() -> Figure:
    """Upright lines move and stay upright, lines across bend."""
    torch.manual_seed(0)
    layer = Autoregressive(2, pf.scalar.RationalQuadraticSpline(bins=6, bound=2.5), partial(MADE, hidden=(16,)))
    return bent_grid(layer, seed=3, scale=1.5)


def linear() -> Figure:
    """Parallel lines stay parallel."""
    return bent_grid(lu(2), seed=1, scale=0.8)


def residual() -> Figure:
    """Every line bends, by steps across lines and around a point."""
    torch.manual_seed(5)
    return bent_grid(Chain([Planar(2), Radial(2), Planar(2)]), seed=5, scale=1.5)


def continuous() -> Figure:
    """Every line is carried along, and none crosses another of its kind."""
    torch.manual_seed(0)
    return bent_grid(Continuous(partial(ConcatSquashMLP, hidden=(16, 16)), 2), seed=4, scale=1.5)


BENT: dict[str, Callable[[], Figure]] = {
    "bent-coupling": coupling,
    "bent-autoregressive": autoregressive,
    "bent-linear": linear,
    "bent-residual": residual,
    "bent-continuous": continuous,
}
