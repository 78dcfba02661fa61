"""Flows on the line: the density over the data, the map, and the latents over the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.flows import ConditionedFlow, Flow
from pushforward.plots.drawn_flow import DrawnFlow
from pushforward.plots.points import points, span
from pushforward.plots.style import DATA, LATENT, MODEL, PALE, headroom, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def flow_1d(flows: Flow | ConditionedFlow | Mapping[str, Flow | ConditionedFlow], data: ArrayLike | Tensor) -> Figure:
    """Draw one-dimensional flows: the data's histogram under the density, the map, and the latents' histogram.

    One row for each flow, for instance before and after training, as in the CS294-158 lectures (Abbeel et al.).

    Args:
        flows: a flow with events of shape ``(1,)`` or ``flow.condition(context)``, or several by their titles.
        data: ``(n,)`` or ``(n, 1)``.

    Raises:
        ShapeError: if a flow's events are not of shape ``(1,)``, or it is at several contexts.
        UsageError: for what is no flow.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Elementwise
        >>> flow = Flow([Elementwise(Affine(), (1,))], StandardNormal((1,)))
        >>> len(flow_1d({"before": flow, "after": flow}, torch.randn(100)).axes)
        6
    """
    rows = flows if isinstance(flows, Mapping) else {"": flows}
    drawn = {title: DrawnFlow.of(flow, 1) for title, flow in rows.items()}
    x = points(data, 1)
    figure = new_figure(10.5, 3.0 * len(rows))
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes, (title, flow) in zip(grid, drawn.items()):
        _draw_row(axes, flow, x, title)
    return figure


def draw_1d(axes: Sequence[Axes], flow: Flow | ConditionedFlow, data: ArrayLike | Tensor, title: str) -> None:
    """Fill three axes with a row of :func:`flow_1d`.

    Raises:
        ShapeError: if the flow's events are not of shape ``(1,)``, it is at several contexts, or the data are not
            ``(n,)`` or ``(n, 1)``.
        UsageError: for what is no flow.
        DataError: if there are no data, or one is not finite.

    Example:
        >>> from pushforward.models import nsf
        >>> from pushforward.plots.style import new_figure
        >>> axes = new_figure(9, 3).subplots(1, 3)
        >>> draw_1d(axes, nsf(features=1, layers=1), torch.randn(100), "before")
        >>> [each.get_xlabel() for each in axes]
        ['x', 'x', 'z']
    """
    _draw_row(axes, DrawnFlow.of(flow, 1), points(data, 1), title)


def draw_latent_histogram(axes: Axes, flow: Flow | ConditionedFlow, data: ArrayLike | Tensor) -> None:
    """Draw the histogram of the data's latents under the base's density.

    Raises:
        ShapeError: if the flow's events are not of shape ``(1,)``, it is at several contexts, or the data are not
            ``(n,)`` or ``(n, 1)``.
        UsageError: for what is no flow.
        DataError: if there are no data, or one is not finite.

    Example:
        >>> from pushforward.models import nsf
        >>> from pushforward.plots.style import new_figure
        >>> axes = new_figure(3, 3).subplots()
        >>> draw_latent_histogram(axes, nsf(features=1, layers=1), torch.randn(100))
        >>> [text.get_text() for text in axes.get_legend().get_texts()]
        ['latents', 'base']
    """
    drawn = DrawnFlow.of(flow, 1)
    _draw_latents(axes, drawn, drawn.encode(points(data, 1)))


def _draw_row(axes: Sequence[Axes], flow: DrawnFlow, x: Tensor, title: str) -> None:
    left, middle, right = axes
    low, high = span(x, margin=0.15)
    line = torch.linspace(low, high, 600).unsqueeze(-1)
    left.hist(x.squeeze(-1).numpy(), bins=80, range=(low, high), density=True, color=PALE, label="data")
    left.plot(line.squeeze(-1).numpy(), flow.log_prob(line).exp().numpy(), color=MODEL, label="density")
    left.set(xlabel="x", ylabel=title, title="data and density", xlim=(low, high))
    headroom(left)
    left.legend(frameon=False, ncols=2, loc="upper center")
    middle.plot(line.squeeze(-1).numpy(), flow.encode(line).squeeze(-1).numpy(), color=DATA)
    middle.set(xlabel="x", ylabel="z", title="the map $z = f(x)$", xlim=(low, high))
    tidy(middle)
    _draw_latents(right, flow, flow.encode(x))


def _draw_latents(axes: Axes, flow: DrawnFlow, z: Tensor) -> None:
    low, high = span(z, margin=0.15)
    line = torch.linspace(low, high, 600).unsqueeze(-1)
    axes.hist(z.squeeze(-1).numpy(), bins=80, density=True, color=PALE, label="latents")
    axes.plot(line.squeeze(-1).numpy(), flow.base_log_prob(line).exp().numpy(), color=LATENT, label="base")
    axes.set(xlabel="z", title="latents and base", xlim=(low, high))
    headroom(axes)
    axes.legend(frameon=False, ncols=2, loc="upper center")
