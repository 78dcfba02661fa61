"""The pictures of the laws: each beside what breaks it."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from colours import BLUE, ORANGE
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon


def _one(size: tuple[float, float] = (5.6, 3.2)) -> tuple[Figure, Axes]:
    return plt.subplots(figsize=size, layout="constrained")


def inverse() -> Figure:
    """There and back, by the right way and by one that takes the step at z."""
    x = np.linspace(-1.5, 1.5, 200)
    z = x + 0.9 * np.tanh(x)
    figure, axis = _one()
    axis.plot(x, x, color=BLUE, label="right: x")
    axis.plot(x, z - 0.9 * np.tanh(z), color=ORANGE, label="wrong: z - a tanh(z)")
    axis.set(xlabel="x", ylabel="inverse(forward(x))", aspect="equal")
    axis.legend()
    return figure


def log_determinant() -> Figure:
    """The unit square and its image."""
    matrix = np.array([[1.4, 0.5], [0.3, 1.1]])
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    image = square @ matrix.T
    area = np.linalg.det(matrix)
    figure, axis = _one((5.6, 3.6))
    axis.add_patch(Polygon(image, facecolor=ORANGE, alpha=0.5, label=f"its image: area {area:.2f}"))
    axis.add_patch(Polygon(square, facecolor=BLUE, alpha=0.6, label="the square: area 1"))
    axis.set(xlim=(-0.1, 2.1), ylim=(-0.1, 2.1), aspect="equal", xlabel="first", ylabel="second")
    axis.set_title(f"log |det| = log {area:.2f} = {np.log(area):.2f} nats")
    axis.legend(loc="upper left")
    return figure


def mass() -> Figure:
    """A density, and the same without its constant."""
    x = np.linspace(-4, 4, 300)
    bell = np.exp(-(x**2) / 2)
    figure, axis = _one()
    axis.fill_between(x, bell, color=ORANGE, alpha=0.35, label="without its constant: mass 2.507")
    axis.fill_between(x, bell / np.sqrt(2 * np.pi), color=BLUE, alpha=0.6, label="the density: mass 1")
    axis.set(xlabel="x", ylabel="p(x)", ylim=(0, 1.35))
    axis.legend()
    return figure


def continuity() -> Figure:
    """Two densities around a circle, seen over two turns about the seam."""
    angle = np.linspace(-np.pi, np.pi, 400)
    closed = 0.5 + 0.3 * np.cos(angle - 1)
    figure, axis = _one()
    for turn, seam in [(0, None), (2 * np.pi, np.pi)]:
        named = turn == 0
        axis.plot(angle + turn, closed, color=BLUE, label="closes" if named else None)
        axis.plot(angle + turn, closed * np.exp(angle / 8), color=ORANGE, label="jumps" if named else None)
        if seam:
            axis.axvline(seam, color="grey", linestyle=":", label="seam")
    axis.set(xlabel="angle, twice around (radians)", ylabel="density, unnormalised", ylim=(0, 1.4))
    axis.legend(loc="upper right", ncols=3)
    return figure


def samples() -> Figure:
    """Samples that are narrower than the density says."""
    rng = np.random.default_rng(0)
    x = np.linspace(-4, 4, 300)
    figure, axis = _one()
    axis.hist(0.7 * rng.standard_normal(2000), bins=40, density=True, color=ORANGE, alpha=0.5, label="what is drawn")
    axis.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=BLUE, label="what log_prob says")
    axis.set(xlabel="x", ylabel="density")
    axis.legend()
    return figure


def extremes() -> Figure:
    """A raw exponential and a bounded one."""
    emitted = np.linspace(-200, 200, 400)
    figure, axis = _one()
    axis.plot(emitted, emitted / np.log(10), color=ORANGE, label="exp(s)")
    axis.plot(emitted, 3 * np.tanh(emitted / 3) / np.log(10), color=BLUE, label="exp(3 tanh(s / 3))")
    axis.axhline(np.log10(np.finfo(np.float32).max), color="grey", linestyle=":", label="the largest float32")
    axis.set(xlabel="what a network emits, s", ylabel="scale, power of ten")
    axis.legend()
    return figure


def scalars() -> Figure:
    """An increasing map, and one that turns."""
    x = np.linspace(-7, 7, 400)
    figure, axis = _one()
    axis.plot(x, x + 0.8 * np.sin(x), color=BLUE, label="x + 0.8 sin(x): one origin")
    axis.plot(x, x + 3 * np.sin(x), color=ORANGE, label="x + 3 sin(x): three")
    axis.axhline(0.5, color="grey", linestyle=":", label="one latent")
    axis.set(xlabel="x", ylabel="z")
    axis.legend()
    return figure


LAWS: dict[str, Callable[[], Figure]] = {
    "law-inverse": inverse,
    "law-log-determinant": log_determinant,
    "law-mass": mass,
    "law-continuity": continuity,
    "law-samples": samples,
    "law-extremes": extremes,
    "law-scalars": scalars,
}
