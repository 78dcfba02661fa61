"""The trajectories of a continuous flow from the latent to the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows import ConditionedFlow, Flow
from pushforward.plots.drawn_flow import DrawnFlow
from pushforward.plots.points import DATA_ONLY, plane_bounds, points
from pushforward.plots.style import LATENT, PALE, new_figure, plane
from pushforward.transforms import Continuous, Transform
from pushforward.transforms.chain import parts_in_turn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STOPS = 41
"""Of each continuous part."""
LINES = 150


def trajectories(flow: Flow | ConditionedFlow, data: ArrayLike | Tensor, *, pictures: int = 5) -> Figure:
    """Draw the trajectories on which a continuous flow carries latents to the data: the points at several times,
    coloured by the angle at which they begin, and the trajectories of some of them as lines, from pale to dark.

    All of it is in the plane of the data. Where there are several continuous parts, one is gone through after the
    other.

    Args:
        flow: a flow with events of shape ``(2,)`` and a :class:`Continuous` part, or ``flow.condition(context)``.
        data: ``(n, 2)``, where the trajectories end.
        pictures: how many times are shown.

    Raises:
        ShapeError: if the flow's events are not of shape ``(2,)``, or it is at several contexts.
        UsageError: for what is no flow, or has no continuous part.

    Example:
        >>> import pushforward as pf
        >>> len(trajectories(pf.models.ffjord(features=2, hidden=8), torch.randn(20, 2), pictures=3).axes)
        4
    """
    drawn = DrawnFlow.of(flow, 2)
    x = points(data, 2)[:DATA_ONLY]
    places = ways(drawn, drawn.encode(x))
    bounds = plane_bounds(places[[0, -1]].flatten(0, 1))
    centred = places[0] - places[0].mean(0)
    angle = torch.atan2(centred[:, 1], centred[:, 0]).numpy()
    figure = new_figure(2.7 * (pictures + 1), 2.9)
    *shown, last = figure.subplots(1, pictures + 1, squeeze=False).ravel()
    for axes, share in zip(shown, torch.linspace(0, 1, pictures), strict=True):
        stage = places[round(share.item() * (len(places) - 1))].numpy()
        axes.scatter(stage[:, 0], stage[:, 1], c=angle, cmap="hsv", s=3, alpha=0.7, linewidths=0)
        plane(axes, bounds, f"t = {share.item():.2g}")
    for way in places[:, :LINES].unbind(1):
        last.plot(*way[: len(way) // 2 + 1].T.numpy(), color=PALE, linewidth=0.5)
        last.plot(*way[len(way) // 2 :].T.numpy(), color=LATENT, linewidth=0.5, alpha=0.7)
    plane(last, bounds, "trajectories")
    return figure


@torch.no_grad()
def ways(drawn: DrawnFlow, z: Tensor) -> Tensor:
    """Return the places of latents ``(n, 2)`` on their way to the data, ``(stops, n, 2)``, in the data's plane."""
    parts = list(parts_in_turn(drawn.flow.transform))
    if not any(isinstance(part, Continuous) for part in parts):
        raise UsageError("trajectories expects a flow with a Continuous part, such as ffjord or cnf, got one without")
    given = drawn.flow.take_context(drawn.contexts(len(z)))
    times = torch.linspace(0, 1, STOPS).tolist()
    found = []
    for index, part in reversed(list(enumerate(parts))):
        told = given if part.context is not None else None
        if isinstance(part, Continuous):
            places = part.follow(z, times, told)
            still = [each for each in parts[:index] if not isinstance(each, Continuous)]
            found.append(_through(still, places, given))
            z = places[-1]
        else:
            z = part.decode(z, told)
    return torch.cat(found)


def _through(parts: Sequence[Transform], places: Tensor, given: Tensor | None) -> Tensor:
    """The places in the plane that parts lead to, from latent to data."""
    for part in reversed(parts):
        told = None if given is None or part.context is None else given.expand(len(places), *given.shape)
        places = part.decode(places, told)
    return places
