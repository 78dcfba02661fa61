"""Flows and densities on the plane: data, samples, densities, warped grids, and the way of the data to the latent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.flows import ConditionedFlow, Flow
from pushforward.plots.drawn_flow import Density, DrawnFlow, log_density
from pushforward.plots.points import DATA_ONLY, column_names, plane_bounds, points, quantile_limits
from pushforward.plots.style import (
    BASE_MAP,
    DATA,
    DENSITY_MAP,
    LATENT,
    MODEL,
    colour_bar,
    dot_size,
    new_figure,
    plane,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bounds = tuple[float, float, float, float]
LATENT_SQUARE = (-3.5, 3.5, -3.5, 3.5)
LINES = 21
POINTS_ON_A_LINE = 400
POINTS_AT_ONCE = 16384
BASE_RESOLUTION = 100


def density_2d(density: Density, bounds: Bounds, *, names: Sequence[str] = (), resolution: int = 300) -> Figure:
    """Draw a density on the plane, with a bar that says what its colours mean.

    The two axes have one scale where they have no names, and each its own where they are columns of different units.

    Args:
        density: a flow, ``flow.condition(context)``, a ``torch.distributions.Distribution``, a known density with a
            ``log_prob``, or a function from points ``(n, 2)`` to log-densities ``(n,)``.
        bounds: ``(x_low, x_high, y_low, y_high)``.
        names: of the two axes, with their units.
        resolution: points along each side.

    Raises:
        ShapeError: if its events are not of shape ``(2,)``, or it is a batch of densities.
        UsageError: for what has no log-density.

    Example:
        >>> normal = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
        >>> len(density_2d(normal, (-3, 3, -3, 3), resolution=20).axes)
        1
    """
    log_prob = log_density(density)
    figure = new_figure(5.2, 4.4)
    axes = figure.subplots()
    draw_density(axes, log_prob, bounds, resolution, column_names(None, names, 2))
    if names:
        axes.set_aspect("auto")
    return figure


def scatter_2d(data: ArrayLike | Tensor, names: Sequence[str] = ()) -> Figure:
    """Draw points of the plane, such as samples.

    Args:
        data: ``(n, 2)``, or a frame of two columns.
        names: of the two axes; by default the frame's.

    Raises:
        ShapeError: if the points are not ``(n, 2)``.

    Example:
        >>> len(scatter_2d(torch.randn(50, 2), ["width", "height"]).axes)
        1
    """
    x = points(data, 2)
    figure = new_figure(4.6, 4.6)
    axes = figure.subplots()
    limits = [quantile_limits(column) for column in x.double().numpy().T]
    axes.scatter(x[:, 0].numpy(), x[:, 1].numpy(), s=dot_size(len(x)), color=MODEL, alpha=0.5, linewidths=0)
    across, upwards = column_names(data, names, 2)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=across, ylabel=upwards)
    tidy(axes)
    return figure


def flow_2d(
    flow: Flow | ConditionedFlow, data: ArrayLike | Tensor, *, generator: torch.Generator | None = None
) -> Figure:
    """Draw a two-dimensional flow: data, samples, density, latents of the data over the base, and how it bends the
    latent grid.

    Args:
        flow: a flow with events of shape ``(2,)``, or ``flow.condition(context)``.
        data: ``(n, 2)``, or a frame of two columns.
        generator: draws the samples.

    Raises:
        ShapeError: if the flow's events are not of shape ``(2,)``, or it is at several contexts.
        UsageError: for what is no flow, or a stochastic one, whose inverse draws.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Elementwise
        >>> from pushforward.scalar import Affine
        >>> flow = Flow([Elementwise(Affine(), (2,))], StandardNormal((2,)))
        >>> len(flow_2d(flow, torch.randn(50, 2)).axes)
        5
    """
    drawn = DrawnFlow.of(flow, 2)
    drawn.check_repeatable()
    x = points(data, 2)[:DATA_ONLY]
    bounds = plane_bounds(x)
    z = drawn.encode(x)
    names = column_names(data, None, 2)
    figure = new_figure(15.5, 3.3)
    first, second, third, fourth, fifth = figure.subplots(1, 5)
    _draw_points(first, x, bounds, "data", DATA, names)
    _draw_points(second, drawn.sample(len(x), generator), bounds, "samples", MODEL, names)
    draw_density(third, drawn.log_prob, bounds, 200, names)
    third.set_title("density", fontsize=10)
    _draw_grid(fourth, drawn, bounds, names)
    _draw_latents(fifth, drawn, z)
    return figure


def warped_grid(flow: Flow | ConditionedFlow, data: ArrayLike | Tensor) -> Figure:
    """Draw a square grid of the latent plane as the flow bends it in the data's plane, over the data.

    Raises:
        ShapeError, UsageError: as :func:`flow_2d`.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Elementwise
        >>> from pushforward.scalar import Affine
        >>> flow = Flow([Elementwise(Affine(), (2,))], StandardNormal((2,)))
        >>> len(warped_grid(flow, torch.randn(50, 2)).axes[0].lines)
        42
    """
    drawn = DrawnFlow.of(flow, 2)
    drawn.check_repeatable()
    x = points(data, 2)[:DATA_ONLY]
    names = column_names(data, None, 2)
    figure = new_figure(4.8, 4.8)
    axes = figure.subplots()
    _draw_points(axes, x, plane_bounds(x), "", DATA, names)
    _draw_grid(axes, drawn, plane_bounds(x), names)
    return figure


def steps_2d(flow: Flow | ConditionedFlow, data: ArrayLike | Tensor, *, columns: int = 4) -> Figure:
    """Draw the data's way to the latent, one picture after each part of the flow's chain.

    Points are coloured by the angle at which they end in the latent plane, so that one sees where each goes; parts
    that only reorder or rescale are drawn too.

    Args:
        flow: a flow with events of shape ``(2,)``, or ``flow.condition(context)``.
        data: ``(n, 2)``.
        columns: pictures in a row.

    Raises:
        ShapeError, UsageError: as :func:`flow_2d`.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Planar
        >>> flow = Flow([Planar(2), Planar(2)], StandardNormal((2,)))
        >>> [axes.get_title() for axes in steps_2d(flow, torch.randn(50, 2)).axes]
        ['data', '1: Planar', '2: Planar']
    """
    drawn = DrawnFlow.of(flow, 2)
    x = points(data, 2)[:DATA_ONLY]
    titles, stages = zip(("data", x), *drawn.steps(x))
    centred = stages[-1] - stages[-1].mean(0)
    angle = torch.atan2(centred[:, 1], centred[:, 0]).numpy()
    rows = -(-len(stages) // columns)
    figure = new_figure(2.7 * min(columns, len(stages)), 2.9 * rows)
    grid = figure.subplots(rows, min(columns, len(stages)), squeeze=False).ravel()
    for axes, stage, title in zip(grid, stages, titles):
        axes.scatter(stage[:, 0].numpy(), stage[:, 1].numpy(), c=angle, cmap="hsv", s=3, alpha=0.7, linewidths=0)
        plane(axes, plane_bounds(stage), title)
    for axes in grid[len(stages) :]:
        axes.set_axis_off()
    return figure


def draw_density(
    axes: Axes,
    log_prob: Callable[[Tensor], Tensor],
    bounds: Bounds,
    resolution: int,
    names: Sequence[str] = (),
    *,
    label: str = "density",
) -> None:
    """Draw a density on the plane on axes of one's own, with a bar of its colours."""
    density = log_prob_on_mesh(log_prob, bounds, resolution).exp().numpy()
    image = axes.imshow(
        density, origin="lower", extent=bounds, vmin=0, cmap=DENSITY_MAP, aspect="auto", interpolation="bilinear"
    )
    plane(axes, bounds, "", names)
    colour_bar(axes, image, label)


def _draw_points(axes: Axes, x: Tensor, bounds: Bounds, title: str, colour: str, names: Sequence[str]) -> None:
    axes.scatter(x[:, 0].numpy(), x[:, 1].numpy(), s=dot_size(len(x)), color=colour, alpha=0.5, linewidths=0)
    plane(axes, bounds, title, names)


def _draw_latents(axes: Axes, flow: DrawnFlow, z: Tensor) -> None:
    """The latents of the data, over the base's density in shades of grey."""
    bounds = LATENT_SQUARE if flow.is_normal else plane_bounds(z)
    log_density = log_prob_on_mesh(flow.base_log_prob, bounds, BASE_RESOLUTION)
    axes.imshow(
        log_density.exp().numpy(), origin="lower", extent=bounds, vmin=0, cmap=BASE_MAP, aspect="auto", alpha=0.6
    )
    _draw_points(axes, z, bounds, "latents of the data, on the base", LATENT, ("$z_1$", "$z_2$"))


def _draw_grid(axes: Axes, flow: DrawnFlow, bounds: Bounds, names: Sequence[str]) -> None:
    """The latent square grid, bent into the data's plane."""
    low, high = flow.latent_limits
    along = torch.linspace(low, high, POINTS_ON_A_LINE).expand(LINES, -1)
    levels = torch.linspace(low, high, LINES)[:, None].expand(-1, POINTS_ON_A_LINE)
    lines = torch.cat([torch.stack([along, levels], -1), torch.stack([levels, along], -1)])
    curves = flow.decode(lines.reshape(-1, 2)).reshape(lines.shape).numpy()
    for curve in curves:
        axes.plot(curve[:, 0], curve[:, 1], color=LATENT, linewidth=0.6, alpha=0.8)
    plane(axes, bounds, "latent grid in the data's plane", names)


@torch.no_grad()
def log_prob_on_mesh(log_prob: Callable[[Tensor], Tensor], bounds: Bounds, resolution: int) -> Tensor:
    """The log-density at the points of a square mesh, ``(resolution, resolution)``, from the lower left."""
    horizontal = torch.linspace(bounds[0], bounds[1], resolution)
    vertical = torch.linspace(bounds[2], bounds[3], resolution)
    mesh = torch.stack(torch.meshgrid(horizontal, vertical, indexing="xy"), -1).reshape(-1, 2)
    return torch.cat([log_prob(part) for part in mesh.split(POINTS_AT_ONCE)]).reshape(resolution, resolution)
