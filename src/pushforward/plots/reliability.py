"""Whether predicted distributions are calibrated: histograms of PIT values and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.plots.points import array, column_names
from pushforward.plots.style import DATA, MODEL, PALE, new_figure, tidy, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_IN_A_ROW = 6
"""Columns; more of them go on below."""
LABEL = 1.7
"""Inches."""


def calibration(pit: ArrayLike | Tensor, names: Sequence[str] | None = None, *, bins: int = 20) -> Figure:
    r"""Draw whether predicted distributions are calibrated, from their probability integral transforms (PIT).

    Where a predicted distribution function ``F`` is right, ``F(y)`` is uniform. The upper row has the histogram of
    ``F(y)``, the lower, of panels of the same size, the share of values below each predicted level; grey bands hold
    95 % of what chance gives a calibrated model (Gneiting, Balabdaoui, Raftery 2007, J. R. Statist. Soc. B 69).

    Args:
        pit: ``(n,)`` or ``(n, D)`` numbers in [0, 1], for instance from :func:`pit_values`.
        names: of the columns; by default the frame's.
        bins: of the histograms.

    Raises:
        UsageError: if a number is outside [0, 1].

    Example:
        >>> len(calibration(np.random.default_rng(0).random((100, 3))).axes)
        6
    """
    values = array(pit)
    values = values[:, None] if values.ndim == 1 else values
    if not ((values >= 0) & (values <= 1)).all():
        raise UsageError("calibration expects PIT values between 0 and 1: pass F(y), for instance from pit_values()")
    size = values.shape[1]
    labels = [""] if names is None and size == 1 else column_names(pit, names, size)
    width = -(-size // -(-size // MOST_IN_A_ROW))
    blocks = -(-size // width)
    figure = new_figure(max(2.4 * width, 3.4), 5.2 * blocks + 0.4)
    grid = figure.subplots(2 * blocks, width, squeeze=False)
    for index, label in enumerate(labels):
        block, place = divmod(index, width)
        upper, lower = grid[2 * block : 2 * block + 2, place]
        _draw_pit_histogram(upper, values[:, index], bins)
        _draw_reliability(lower, values[:, index])
        upper.set_title(wrapped(label, LABEL), fontsize=10)
        upper.set(ylabel="density" if place == 0 else "")
        lower.set(ylabel="share of values below" if place == 0 else "")
    for axes in grid[-2:, size - (blocks - 1) * width :].ravel():
        axes.remove()
    _explain(figure, width)
    return figure


def _explain(figure: Figure, width: int) -> None:
    """Say what the line, the dashes and the band are."""
    with requires("plots", purpose="a figure"):
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=MODEL, linewidth=1.3, label="the model"),
        Line2D([], [], color=DATA, linewidth=0.8, linestyle="--", label="calibrated"),
        Patch(facecolor=PALE, label="95 % of what chance gives each bar and level"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if width > 2 else 1, frameon=False, fontsize=8)


def _draw_pit_histogram(axes: Axes, values: NDArray[Any], bins: int) -> None:
    """The histogram of PIT values with the band of chance."""
    with requires("plots", purpose="the band of chance"):
        from scipy.stats import binom

    count = len(values)
    low, high = binom.ppf([0.025, 0.975], count, 1.0 / bins) * bins / count
    axes.axhspan(low, high, color=PALE, alpha=0.6, linewidth=0)
    axes.hist(values, bins=bins, range=(0, 1), density=True, histtype="step", color=MODEL, linewidth=1.3)
    axes.axhline(1.0, color=DATA, linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, 1), xlabel="$F(y)$", ylim=(0, max(2.0, axes.get_ylim()[1])), box_aspect=1)
    tidy(axes)


def _draw_reliability(axes: Axes, values: NDArray[Any]) -> None:
    """The empirical distribution function of PIT values with the band of chance."""
    with requires("plots", purpose="the band of chance"):
        from scipy.stats import binom

    count = len(values)
    level = np.linspace(0, 1, 201)
    axes.fill_between(
        level, binom.ppf(0.025, count, level) / count, binom.ppf(0.975, count, level) / count, color=PALE, linewidth=0
    )
    axes.plot([0, 1], [0, 1], color=DATA, linewidth=0.8, linestyle="--")
    axes.plot(level, np.searchsorted(np.sort(values), level, side="right") / count, color=MODEL, linewidth=1.3)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted level", box_aspect=1)
    tidy(axes)
