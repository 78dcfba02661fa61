"""How a conditional flow on the plane changes with its context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows import Flow
from pushforward.plots.drawn_flow import DrawnFlow
from pushforward.plots.points import DATA_ONLY, column_names, points
from pushforward.plots.style import PALE, new_figure
from pushforward.plots.two_dimensions import Bounds, draw_density

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESOLUTION = 150


def contexts_2d(
    flow: Flow,
    contexts: Mapping[str, Tensor],
    bounds: Bounds,
    *,
    data: Mapping[str, ArrayLike | Tensor] | None = None,
) -> Figure:
    """Draw the densities ``p(x | context)`` of a conditional flow on the plane, one picture for each context.

    Args:
        flow: made with a context, with events of shape ``(2,)``.
        contexts: single contexts by the titles of their pictures.
        bounds: ``(x_low, x_high, y_low, y_high)``.
        data: points ``(n, 2)`` seen at some of the contexts, by the same titles; they are drawn on the densities.

    Raises:
        ShapeError: if the flow's events are not of shape ``(2,)``, or there are several contexts under one title.
        UsageError: if the flow takes no context, none is given, or data have a title of their own.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.realnvp(features=2, context=1, layers=2, hidden=8)
        >>> given = {"low": torch.tensor([-1.0]), "high": torch.tensor([1.0])}
        >>> [axes.get_title() for axes in contexts_2d(flow, given, (-3, 3, -3, 3)).axes]
        ['low', 'high']
    """
    seen = data or {}
    if not contexts or not seen.keys() <= contexts.keys():
        raise UsageError(
            f"contexts_2d expects contexts by their titles, and data of the same titles, got {list(contexts)} and "
            f"data of {list(seen)}"
        )
    drawn = {title: DrawnFlow.of(flow.condition(context), 2) for title, context in contexts.items()}
    figure = new_figure(3.9 * len(drawn), 3.4)
    for axes, (title, each) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True):
        names = column_names(seen.get(title), None, 2)
        draw_density(axes, each.log_prob, bounds, RESOLUTION, names)
        if title in seen:
            x = points(seen[title], 2)[:DATA_ONLY].numpy()
            axes.scatter(x[:, 0], x[:, 1], s=2, color=PALE, alpha=0.5, linewidths=0)
        axes.set_title(title, fontsize=10)
    return figure
