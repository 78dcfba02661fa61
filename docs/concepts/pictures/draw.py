"""Draws the pictures of the concepts: ``python docs/concepts/pictures/draw.py``, under a minute, always the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

import pushforward as pf
from pushforward.networks import LipschitzMLP
from pushforward.transforms import Autoregressive, Contractive, Coupling, Elementwise, masks

HERE = Path(__file__).parent
BLUE, ORANGE = "#3b6fb6", "#d1782b"


def scalar_bijections() -> Figure:
    """Four maps above, and below them what density of x a standard normal z has."""
    torch.manual_seed(4)
    maps = {
        "affine": pf.scalar.Affine(),
        "rational-quadratic spline": pf.scalar.RationalQuadraticSpline(bins=6),
        "CDF of a mixture, logit": pf.scalar.MixtureCDF("logistic", components=3),
        "deep sigmoidal": pf.scalar.DeepSigmoidal(),
    }
    x = torch.linspace(-4, 4, 400)
    figure, axes = plt.subplots(2, 4, figsize=(10, 4.4), sharex=True, sharey="row", layout="constrained")
    for (name, each), (above, below) in zip(maps.items(), axes.T):
        parameters = 1.5 * torch.randn(each.num_parameters)
        z, log_derivative = each.forward(x, parameters.expand(len(x), -1))
        density = torch.exp(log_derivative - z**2 / 2) / (2 * torch.pi) ** 0.5
        above.plot(x, z, color=BLUE)
        above.set(title=name, ylim=(-5, 5))
        below.fill_between(x, density, color=BLUE, alpha=0.4)
        below.set(xlabel="x", ylim=(0, None))
    axes[0, 0].set_ylabel("z")
    axes[1, 0].set_ylabel("p(x)")
    return figure


def structures() -> Figure:
    """The Jacobians of four structures of six numbers."""
    torch.manual_seed(0)
    features = 6
    contraction = Contractive(LipschitzMLP, features)
    layers = {
        "elementwise": Elementwise(pf.scalar.Affine(), (features,)),
        "coupling": Coupling(masks.halves(features), pf.scalar.Affine(), pf.networks.MLP),
        "autoregressive": Autoregressive(features, pf.scalar.Affine(), pf.networks.MADE),
        "residual": contraction,
    }
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
    for axis, (name, layer) in zip(axes, layers.items()):
        pf.testing.randomise(layer, 0.5)
        jacobian = torch.func.jacrev(layer.eval().encode)(torch.randn(features))
        _squares(axis, jacobian.abs() > 1e-9)
        axis.set(title=name, xlabel="x", ylabel="z" if axis is axes[0] else "")
    return figure


def masked_network() -> Figure:
    """The paths from inputs to outputs of a MADE, layer by layer, as its Jacobians show them."""
    torch.manual_seed(0)
    degrees = [torch.arange(1, 5), torch.tensor([1, 2, 3, 1, 2, 3]), torch.tensor([1, 2, 3, 1, 2, 3])]
    shown = [(degrees[1][:, None] >= degrees[0]), (degrees[2][:, None] >= degrees[1])]
    shown.append(torch.arange(1, 5)[:, None] > degrees[2])
    paths = shown[2].float() @ shown[1].float() @ shown[0].float()
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
    for axis, picture, name in zip(axes, [*shown, paths > 0], ["first", "second", "last", "their product"]):
        _squares(axis, picture)
        axis.set(title=name, xlabel="from", ylabel="to" if axis is axes[0] else "")
    return figure


def bases() -> Figure:
    """Data, latents and base of a trained flow."""
    torch.manual_seed(0)
    x = pf.data.toy("moons").sample(3000, torch.Generator().manual_seed(0))
    flow = pf.models.nsf(features=2, layers=3, hidden=(32, 32))
    pf.fit(flow, x, max_steps=400, learning_rate=1e-2, ema=0.98, seed=0, progress=False)
    z, base = flow.encode(x).detach(), torch.randn(3000, 2)
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    for axis, points, name, colour in zip(
        axes, [x, z, base], ["data x", "latents z = f(x)", "base"], [BLUE, BLUE, ORANGE]
    ):
        axis.plot(*points.T, ".", markersize=1.5, color=colour, rasterized=True)
        axis.set(title=name, aspect="equal")
    for axis in axes[1:]:
        axis.set(xlim=(-4, 4), ylim=(-4, 4))
    return figure


def dequantization() -> Figure:
    """Counts of integers, and what uniform noise makes of them."""
    rng = np.random.default_rng(0)
    counts = np.bincount(rng.binomial(7, 0.35, 2000), minlength=8) / 2000
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    left.vlines(range(8), 0, counts, color=BLUE, linewidth=3)
    left.set(title="integers x", xlabel="x", ylabel="probability")
    right.stairs(counts, range(9), fill=True, color=BLUE, alpha=0.4)
    right.set(title="x + u, u uniform on [0, 1)", xlabel="x + u", ylabel="density")
    return figure


def importance() -> Figure:
    """A normal latent and a posterior that is too wide: the bound of M samples."""
    samples = 2 ** np.arange(9)
    z = 2 * np.random.default_rng(0).standard_normal((4000, samples[-1]))
    weights = 2 * np.exp(-(z**2) / 2 + z**2 / 8)
    bounds = [np.log(weights[:, :count].mean(1)).mean() for count in samples]
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axis.semilogx(samples, bounds, "o-", base=2, color=BLUE, label="bound")
    axis.axhline(0.0, color=ORANGE, label="log p(x)")
    axis.set(xlabel="importance samples M", ylabel="nats")
    axis.legend()
    return figure


def _squares(axis: plt.Axes, filled: Tensor) -> None:
    """A matrix as filled and empty cells."""
    axis.pcolormesh(filled.flip(0), cmap="Blues", vmin=0, vmax=1.4, edgecolors="#999999", linewidth=0.5)
    axis.set(aspect="equal", xticks=[], yticks=[])


PICTURES: dict[str, Callable[[], Figure]] = {
    "scalar-bijections": scalar_bijections,
    "structures": structures,
    "masked-network": masked_network,
    "dequantization": dequantization,
    "importance": importance,
    "bases": bases,
}

if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "pushforward"
    for name, draw in PICTURES.items():
        draw().savefig(HERE / f"{name}.svg", metadata={"Date": None})
