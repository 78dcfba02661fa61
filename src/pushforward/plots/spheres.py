"""Maps of densities on the sphere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.data.places import as_latitude_longitude, as_unit_vectors
from pushforward.errors import ShapeError
from pushforward.flows import ConditionedFlow, Flow
from pushforward.plots.style import DENSITY_MAP, PALE, new_figure
from pushforward.transforms import GeographicCoordinates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

POINTS_AT_ONCE = 16384
DECADES, SHARE = 4.0, 0.999
"""How many powers of ten a map goes down from its highest density: the one that but one in a thousand points exceed, so
that single spikes do not take the colours of all the rest."""


def map_of(
    density: Flow | ConditionedFlow | Callable[[Tensor], Tensor], data: Tensor | None = None, *, resolution: int = 180
) -> Figure:
    """Draw the logarithm of a density on the ordinary sphere as a map of equal areas, with events on it.

    Args:
        density: a flow of unit vectors ``(3,)`` or of places in degrees, of which the density is drawn per steradian
            too, ``flow.condition(context)``, or a function from unit vectors ``(n, 3)`` to log-densities ``(n,)``.
        data: events of the flow, of a function unit vectors ``(n, 3)``.
        resolution: points from pole to pole, and twice as many around.

    Raises:
        ShapeError: if the data are no such events.

    Example:
        >>> len(map_of(lambda x: 5.0 * x[:, 0], resolution=20).axes)
        2
    """
    figure = new_figure(8.0, 4.2)
    axes = figure.add_subplot(projection="mollweide")
    places = _places(density)
    log_prob = density.log_prob if isinstance(density, Flow | ConditionedFlow) else density
    drawn = draw_map(axes, log_prob if places is None else _per_steradian(log_prob, places), resolution)
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="log10 of the density")
    if data is not None:
        draw_places(axes, data if places is None else as_unit_vectors(data))
    return figure


def draw_map(axes: Axes, log_prob: Callable[[Tensor], Tensor], resolution: int) -> QuadMesh:
    """Draw a density on axes of one's own, those of a map, and return what a colour bar is made of."""
    latitude = 180.0 * ((torch.arange(resolution) + 0.5) / resolution - 0.5)
    longitude = 360.0 * ((torch.arange(2 * resolution) + 0.5) / (2 * resolution) - 0.5)
    grid = torch.stack(torch.meshgrid(latitude, longitude, indexing="ij"), -1)
    with torch.no_grad():
        values = torch.cat([log_prob(part) for part in as_unit_vectors(grid).reshape(-1, 3).split(POINTS_AT_ONCE)])
    logarithm = (values / math.log(10.0)).reshape(resolution, -1)
    sides = [torch.deg2rad(each).numpy() for each in (longitude, latitude)]
    highest = logarithm.flatten().kthvalue(math.ceil(SHARE * logarithm.numel())).values.item()
    shown = logarithm.clamp(highest - DECADES, highest)
    drawn = axes.pcolormesh(*sides, shown.numpy(), cmap=DENSITY_MAP, rasterized=True)
    axes.set(xticks=[], yticks=[])
    return drawn


def draw_places(axes: Axes, data: Tensor) -> None:
    """Draw events as dots on a map.

    Raises:
        ShapeError: if they are no unit vectors ``(n, 3)``.
    """
    if data.dim() != 2 or data.shape[-1] != 3:
        raise ShapeError(f"a map expects events that are unit vectors (n, 3), got a tensor of {tuple(data.shape)}")
    latitude, longitude = torch.deg2rad(as_latitude_longitude(data.detach().cpu())).unbind(-1)
    axes.scatter(longitude.numpy(), latitude.numpy(), s=2, color=PALE, alpha=0.5, linewidths=0)


def _places(density: Flow | ConditionedFlow | Callable[[Tensor], Tensor]) -> GeographicCoordinates | None:
    """The coordinates of a density's events, None where they are unit vectors."""
    flow = density.flow if isinstance(density, ConditionedFlow) else density
    return GeographicCoordinates.of(flow.support) if isinstance(flow, Flow) else None


def _per_steradian(log_prob: Callable[[Tensor], Tensor], places: GeographicCoordinates) -> Callable[[Tensor], Tensor]:
    """The log-density of unit vectors that one of places in degrees is."""

    def of_vectors(x: Tensor) -> Tensor:
        degrees = places.decode(x)
        return log_prob(degrees) - places.log_area(degrees)

    return of_vectors
