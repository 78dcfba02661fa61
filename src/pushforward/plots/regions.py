"""The regions of the plane that a flow with piecewise parts lays over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.flows import ConditionedFlow, Flow
from pushforward.plots.drawn_flow import DrawnFlow
from pushforward.plots.points import DATA_ONLY, column_names, plane_bounds, points
from pushforward.plots.style import new_figure, plane
from pushforward.plots.two_dimensions import draw_density
from pushforward.transforms import regions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESOLUTION = 200
COLOURS = "tab20"


def regions_2d(flow: Flow | ConditionedFlow, data: ArrayLike | Tensor) -> Figure:
    """Draw the density of a flow with piecewise parts, the regions of the plane that share one latent, with the data
    on them, and the latents of the data, each in the colour of its region.

    Args:
        flow: a flow with events of shape ``(2,)``, or ``flow.condition(context)``.
        data: ``(n, 2)``.

    Raises:
        ShapeError: if the flow's events are not of shape ``(2,)``, or it is at several contexts.
        UsageError: for what is no flow, or one without a piecewise part.

    Example:
        >>> import pushforward as pf
        >>> len(regions_2d(pf.models.rad(features=2, layers=2, hidden=8), torch.randn(50, 2)).axes)
        3
    """
    drawn = DrawnFlow.of(flow, 2)
    x = points(data, 2)[:DATA_ONLY]
    left, right, bottom, top = bounds = plane_bounds(x)
    across, upwards = torch.linspace(left, right, RESOLUTION), torch.linspace(bottom, top, RESOLUTION)
    mesh = torch.stack(torch.meshgrid(across, upwards, indexing="xy"), -1)
    taken = drawn.flow.take_context(drawn.context)
    with torch.no_grad():
        of_mesh, of_data = (regions(drawn.flow.transform, each, taken) for each in (mesh, x))
        latents = drawn.encode(x)
    figure = new_figure(11.4, 3.7)
    first, second, third = figure.subplots(1, 3)
    names = column_names(data, None, 2)
    draw_density(first, drawn.log_prob, bounds, RESOLUTION, names)
    first.set_title("density", fontsize=10)
    shades = {"cmap": COLOURS, "vmin": 0, "vmax": 20}
    second.imshow(of_mesh % 20, origin="lower", extent=bounds, aspect="auto", interpolation="nearest", **shades)
    second.scatter(x[:, 0].numpy(), x[:, 1].numpy(), s=2, color="black", alpha=0.5, linewidths=0)
    plane(second, bounds, "regions", names)
    third.scatter(latents[:, 0].numpy(), latents[:, 1].numpy(), s=3, c=of_data % 20, linewidths=0, **shades)
    plane(third, plane_bounds(latents), "latents of the data", ("$z_1$", "$z_2$"))
    return figure
