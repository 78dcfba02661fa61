"""The pictures of the kinds of parts."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from colours import BLUE, ORANGE
from matplotlib.figure import Figure
from torch import Tensor

import pushforward as pf
from pushforward.networks import LipschitzMLP
from pushforward.transforms import Autoregressive, Contractive, Coupling, Elementwise, masks


def scalar_bijections() -> Figure:
    """Four maps above, and below them what density of x a standard normal z has."""
    torch.manual_seed(4)
    maps = {
        "affine": (pf.scalar.Affine(), torch.tensor([-0.8, 0.5])),
        "rational-quadratic spline": (pf.scalar.RationalQuadraticSpline(bins=6, bound=4.0), None),
        "CDF of a mixture, logit": (pf.scalar.MixtureCDF("logistic", components=3), None),
        "deep sigmoidal": (pf.scalar.DeepSigmoidal(), None),
    }
    x = torch.linspace(-6, 6, 241)
    figure, axes = plt.subplots(2, 4, figsize=(10, 4.4), sharex=True, layout="constrained")
    for (name, (each, told)), (above, below) in zip(maps.items(), axes.T):
        parameters = torch.randn(each.num_parameters) if told is None else told
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
    layers = {
        "elementwise": Elementwise(pf.scalar.Affine(), (features,)),
        "coupling": Coupling(masks.halves(features), pf.scalar.Affine(), pf.networks.MLP),
        "autoregressive": Autoregressive(features, pf.scalar.Affine(), pf.networks.MADE),
        "residual": Contractive(LipschitzMLP, features),
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


def base_densities() -> Figure:
    """Bases of one number, from one without tails to one of heavy tails."""
    x = torch.linspace(-8, 8, 401)[:, None]
    drawn = {
        "Uniform": pf.distributions.Uniform((1,), -3.0, 3.0),
        "StandardNormal": pf.distributions.StandardNormal((1,)),
        "StandardLogistic": pf.distributions.StandardLogistic((1,)),
        "StudentT, 2 degrees of freedom": pf.distributions.StudentT((1,), 2.0),
    }
    figure, axis = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for (name, base), style in zip(drawn.items(), [":", "-", "--", "-."]):
        axis.semilogy(x, base.log_prob(x).exp().detach(), style, label=name)
    axis.set(xlabel="z", ylabel="density", ylim=(1e-8, 1))
    axis.legend(loc="lower center", fontsize=8)
    return figure


def bases() -> Figure:
    """Data, latents and base of a trained flow."""
    torch.manual_seed(0)
    x = pf.data.toy("moons").sample(3000, torch.Generator().manual_seed(0))
    flow = pf.models.nsf(features=2, layers=3, hidden=(32, 32))
    pf.fit(flow, x, max_steps=400, learning_rate=1e-2, ema=0.98, seed=0, progress=False)
    z, base = flow.encode(x).detach(), torch.randn(3000, 2)
    figure, (data, latents) = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
    style = {"markersize": 1.5, "rasterized": True}
    data.plot(*x.T, ".", color=BLUE, **style)
    latents.plot(*base.T, ".", color=ORANGE, label="samples of the base", **style)
    latents.plot(*z.T, ".", color=BLUE, label="latents z = f(x)", **style)
    data.set(title="data x", aspect="equal")
    latents.set(xlim=(-4, 4), ylim=(-4, 4), title="latents", aspect="equal")
    latents.legend(loc="upper right", markerscale=6, fontsize=8)
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


def spaces() -> Figure:
    """A density on the line, on an interval, around a circle, and masses of integers."""
    figure = plt.figure(figsize=(10, 2.8), layout="constrained")
    line, interval, integers = (figure.add_subplot(1, 4, place) for place in (1, 2, 4))
    circle = figure.add_subplot(1, 4, 3, projection="polar")
    x = np.linspace(-4, 4, 200)
    line.fill_between(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=BLUE, alpha=0.5)
    line.set(title="Reals", xlabel="x", ylabel="density")
    u = np.linspace(0, 1, 200)
    interval.fill_between(u, 12 * u * (1 - u) ** 2, color=BLUE, alpha=0.5)
    interval.set(title="Interval(0, 1)", xlabel="x", xlim=(-0.1, 1.1))
    angle = np.linspace(-np.pi, np.pi, 200)
    density = np.exp(2 * np.cos(angle - 1)) / (2 * np.pi * np.i0(2))
    circle.fill_between(angle, 1, 1 + density, color=BLUE, alpha=0.5)
    circle.set(title="Circle", yticks=[], xticks=np.arange(4) * np.pi / 2)
    circle.set_xticklabels(["0", "π/2", "π", "-π/2"])
    counts = np.arange(8)
    integers.vlines(counts, 0, [math.comb(7, k) * 0.35**k * 0.65 ** (7 - k) for k in counts], color=BLUE, linewidth=4)
    integers.set(title="Integers(0, 7)", xlabel="x", ylabel="probability", ylim=(0, None))
    return figure


def circle_map() -> Figure:
    """A flow on one circle: its map over one turn, and the density that it makes of the uniform one."""
    torch.manual_seed(3)
    flow = pf.models.torus(features=1, layers=1)
    pf.testing.randomise(flow, 0.6)
    x = torch.linspace(-torch.pi, torch.pi, 400)[:, None]
    z = flow.transform.encode(x).detach()
    # Written as angles, a turn ends somewhere: no line is drawn there.
    jump = (z[1:] - z[:-1]).abs().squeeze(-1) > torch.pi
    z[1:][jump] = torch.nan
    figure = plt.figure(figsize=(8, 3.4), layout="constrained")
    axis = figure.add_subplot(1, 2, 1)
    axis.plot(x, z, color=BLUE)
    axis.set(xlabel="x, radians", ylabel="z, radians", aspect="equal", title="once around")
    around = figure.add_subplot(1, 2, 2, projection="polar")
    density = flow.log_prob(x).exp().detach()
    around.fill_between(x[:, 0], torch.ones(400), 1 + density, color=BLUE, alpha=0.5)
    around.plot(x, 1 + torch.full_like(x, 1 / (2 * torch.pi)), color=ORANGE, linestyle=":", label="uniform")
    around.set(yticks=[], title="p(x), outwards from the circle")
    around.legend(loc="lower left", bbox_to_anchor=(-0.15, -0.1))
    return figure


def squeeze() -> Figure:
    """Which channel each pixel goes to."""
    numbers = torch.arange(16.0).reshape(1, 4, 4)
    channels = pf.transforms.Squeeze().encode(numbers)
    colour = {int(value): index for index, channel in enumerate(channels) for value in channel.flatten()}
    figure, axes = plt.subplots(
        1, 5, figsize=(10, 2.6), width_ratios=[2, 1, 1, 1, 1], layout="constrained", subplot_kw={"aspect": "equal"}
    )
    names = ["1 x 4 x 4", *(f"channel {k}" for k in range(4))]
    for axis, picture, name in zip(axes, [numbers[0], *channels], names):
        shades = picture.clone().apply_(lambda value: colour[int(value)])
        axis.imshow(shades, cmap="Pastel1", vmin=0, vmax=8)
        for (row, column), value in np.ndenumerate(picture.numpy()):
            axis.text(column, row, f"{value:.0f}", ha="center", va="center")
        axis.set(title=name, xticks=[], yticks=[])
    return figure


def _squares(axis: plt.Axes, filled: Tensor) -> None:
    """A matrix as filled and empty cells."""
    axis.pcolormesh(filled.flip(0), cmap="Blues", vmin=0, vmax=1.4, edgecolors="#999999", linewidth=0.5)
    axis.set(aspect="equal", xticks=[], yticks=[])


PARTS: dict[str, Callable[[], Figure]] = {
    "spaces": spaces,
    "scalar-bijections": scalar_bijections,
    "structures": structures,
    "circle-map": circle_map,
    "masked-network": masked_network,
    "squeeze": squeeze,
    "dequantization": dequantization,
    "importance": importance,
    "base-densities": base_densities,
    "bases": bases,
}
