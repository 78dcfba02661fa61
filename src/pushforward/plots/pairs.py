"""Tables against samples from a model: every pair of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.extras import requires
from pushforward.plots.points import DATA_ONLY, array, column_names, quantile_limits
from pushforward.plots.style import DATA, MODEL, PALE, dot_size, few_ticks, new_figure, swatch, tidy, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE, LARGEST_PANEL, SMALLEST_PANEL = 11.0, 1.9, 1.05
"""Inches: of all panels side by side, and of one."""


def corner(
    data: ArrayLike | Tensor,
    samples: ArrayLike | Tensor,
    names: Sequence[str] | None = None,
    *,
    bins: int = 40,
    legend: tuple[str, str] = ("data", "samples"),
    marked: ArrayLike | Tensor | None = None,
) -> Figure:
    """Draw a table against samples from a model: every column's histogram, every pair of columns as contours.

    The data is below the diagonal in grey, the samples over it in colour as lines that hold 20, 50, 80 and 95 % of
    their mass. The more columns, the smaller the panels and the fewer their numbers, so that twelve fit on a screen.

    Args:
        data, samples: ``(n, D)``; at most 12 columns are readable.
        names: the columns' names; by default the frame's.
        bins: of the histograms.
        legend: what the two are called.
        marked: a point ``(D,)`` to mark, a truth for instance.

    Raises:
        ShapeError: if they differ in their columns.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> len(corner(rng.normal(size=(100, 2)), rng.normal(size=(100, 2))).axes)
        4
    """
    first, second = array(data), array(samples)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ShapeError(f"corner expects two tables of the same columns, got {first.shape} and {second.shape}")
    size = first.shape[1]
    point = None if marked is None else array(marked)
    if point is not None and point.shape != (size,):
        raise ShapeError(f"corner expects a point of {size} columns to mark, got {point.shape}")
    panel = min(LARGEST_PANEL, max(SMALLEST_PANEL, PAGE / size))
    labels = [wrapped(name, panel) for name in column_names(data, names, size)]
    limits = [quantile_limits(first[:, index]) for index in range(size)]
    figure = new_figure(panel * size + 0.6, panel * size + 0.6)
    grid = figure.subplots(size, size, squeeze=False)
    for row in range(size):
        for column in range(size):
            axes = grid[row, column]
            if column > row:
                axes.set_axis_off()
            elif column == row:
                _draw_marginals(axes, first[:, row], second[:, row], limits[row], bins)
            else:
                _draw_pair(axes, first[:, [column, row]], second[:, [column, row]], limits[column], limits[row])
            if point is not None and column <= row:
                _mark(axes, point[column], None if column == row else point[row])
            few_ticks(axes, 2 if panel < LARGEST_PANEL else 4, size=8)
            if column == row:
                axes.set_yticks([])
            axes.set_xlabel(labels[column] if row == size - 1 else "", fontsize=9)
            axes.set_ylabel(labels[row] if column == 0 and row > 0 else "", fontsize=9)
            axes.tick_params(labelbottom=row == size - 1, labelleft=column == 0 and row > 0)
    figure.align_labels()
    handles = [swatch(PALE, filled=True), swatch(MODEL, filled=False)]
    # Above the diagonal there is room, of which a single column has none.
    place: Literal["upper right", "outside upper center"] = "upper right" if size > 1 else "outside upper center"
    figure.legend(handles, legend, loc=place, ncols=1 if size > 1 else 2, frameon=False, fontsize=9 + 0.4 * size)
    return figure


def _draw_marginals(
    axes: Axes, data: NDArray[Any], samples: NDArray[Any], limits: tuple[float, float], bins: int
) -> None:
    """Two histograms of one column."""
    axes.hist(data, bins=bins, range=limits, density=True, color=PALE)
    axes.hist(samples, bins=bins, range=limits, density=True, histtype="step", color=MODEL, linewidth=1.2)
    axes.set(xlim=limits, yticks=[])
    tidy(axes)
    axes.spines["left"].set_visible(False)


def _draw_pair(
    axes: Axes,
    data: NDArray[Any],
    samples: NDArray[Any],
    horizontal: tuple[float, float],
    vertical: tuple[float, float],
) -> None:
    """The data's points under the samples' contours."""
    shown = data[:DATA_ONLY]
    axes.scatter(
        shown[:, 0], shown[:, 1], s=dot_size(len(shown)), color=DATA, alpha=0.25, linewidths=0, rasterized=True
    )
    density, x_edges, y_edges = _smoothed_histogram(samples, horizontal, vertical)
    levels = mass_levels(density, (0.95, 0.8, 0.5, 0.2))
    if len(levels):
        centres = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
        axes.contour(*centres, density.T, levels=levels, colors=MODEL, linewidths=0.9)
    axes.set(xlim=horizontal, ylim=vertical)
    tidy(axes)


def _smoothed_histogram(
    values: NDArray[Any], horizontal: tuple[float, float], vertical: tuple[float, float]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A two-dimensional histogram, smoothed over a cell and a half."""
    with requires("plots", purpose="a smoothed histogram"):
        from scipy.ndimage import gaussian_filter

    bins = int(np.clip(np.sqrt(len(values)) / 1.5, 15, 60))
    counts, x_edges, y_edges = np.histogram2d(values[:, 0], values[:, 1], bins=bins, range=(horizontal, vertical))
    return gaussian_filter(counts, 1.5), x_edges, y_edges


def mass_levels(density: NDArray[Any], shares: Sequence[float]) -> NDArray[Any]:
    """The density levels above which the given shares of the mass lie, increasing and without repeats."""
    ordered = np.sort(density.ravel())[::-1]
    cumulated = np.cumsum(ordered)
    if cumulated[-1] <= 0:
        return np.zeros(0)
    positions = np.minimum(np.searchsorted(cumulated / cumulated[-1], shares), len(ordered) - 1)
    return np.unique(ordered[positions])


def _mark(axes: Axes, x: float, y: float | None) -> None:
    """Lines that cross at a point; one of them where it has no height."""
    axes.axvline(x, color=DATA, linewidth=0.9, linestyle="--")
    if y is not None:
        axes.axhline(y, color=DATA, linewidth=0.9, linestyle="--")
