"""Steps of Markov kernels on the plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.plots.points import points
from pushforward.plots.style import MODEL, PALE, new_figure
from pushforward.plots.two_dimensions import Bounds, draw_density
from pushforward.transforms import Kernel, Relaxation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COARSE = 101


def relaxation_2d(
    layers: Mapping[str, Relaxation],
    start: ArrayLike | Tensor,
    bounds: Bounds,
    *,
    generator: torch.Generator | None = None,
) -> Figure:
    """Draw the way of points through stochastic layers, each over the density that it relaxes towards.

    A dot is where a point starts, a line its way, leap by leap for a Hamiltonian kernel, and a ring where it ends.

    Args:
        layers: layers on the plane without a context, by the titles of their pictures.
        start: where the points start, ``(n, 2)``.
        bounds: ``(x_low, x_high, y_low, y_high)``.
        generator: of the draws; each layer goes on with it.

    Raises:
        ShapeError: if the points are not ``(n, 2)``.
        UsageError: if there is no layer, or one is of another number of dimensions or expects a context.

    Example:
        >>> from pushforward.data import ManyWell
        >>> from pushforward.transforms import Langevin
        >>> layer = Relaxation(Langevin(2, ManyWell(2), 0.01), steps=20)
        >>> figure = relaxation_2d({"Langevin": layer}, torch.zeros(3, 2), (-3, 3, -3, 3))
        >>> len(figure.axes)
        1
    """
    x = points(start, 2)
    if not layers or any(each.kernel.features != 2 or each.context is not None for each in layers.values()):
        raise UsageError("relaxation_2d expects layers of 2 features without a context, at least one")
    figure = new_figure(4.0 * len(layers), 4.2)
    for axes, (title, layer) in zip(figure.subplots(1, len(layers), squeeze=False)[0], layers.items(), strict=True):
        draw_density(axes, _relative_log_density(layer.kernel, bounds), bounds, 200, label="density / its largest")
        ways = _ways(layer, x, generator)
        axes.plot(ways[..., 0], ways[..., 1], color=PALE, linewidth=1.0)
        axes.scatter(ways[0, :, 0], ways[0, :, 1], s=14, color=PALE, zorder=3)
        axes.scatter(ways[-1, :, 0], ways[-1, :, 1], s=26, facecolor="none", edgecolor=MODEL, linewidth=1.5, zorder=3)
        axes.set_title(title, fontsize=10)
    return figure


@torch.no_grad()
def _ways(layer: Relaxation, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Where points pass by, ``(stages, n, 2)``."""
    stages = [x]
    for _ in range(layer.steps):
        stages += layer.kernel.way(layer.kernel.at(stages[-1], None), None, generator)
    return torch.stack(stages)


def _relative_log_density(kernel: Kernel, bounds: Bounds) -> Callable[[Tensor], Tensor]:
    """Of the target, over its largest value within the bounds: a constant is missing from it, and its exponential may
    have no room."""
    axes = torch.linspace(*bounds[:2], COARSE), torch.linspace(*bounds[2:], COARSE)

    def log_density(x: Tensor) -> Tensor:
        return kernel.at(x, None).log_density.detach()

    highest = log_density(torch.cartesian_prod(*axes)).max()
    return lambda x: log_density(x) - highest
