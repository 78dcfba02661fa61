"""Whether predicted distributions are calibrated: histograms of PIT values and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.plots.points import array
from pushforward.plots.style import DATA, MODEL, PALE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def calibration(pit: ArrayLike | Tensor, names: Sequence[str] | None = None, *, bins: int = 20) -> Figure:
    r"""Draw whether predicted distributions are calibrated, from their probability integral transforms (PIT).

    Where a predicted distribution function ``F`` is right, ``F(y)`` is uniform. The upper row has the histogram of
    ``F(y)``, the lower the share of values below each predicted level; grey bands hold 95 % of what chance gives a
    calibrated model (Gneiting, Balabdaoui, Raftery 2007, J. R. Statist. Soc. B 69).

    Args:
        pit: ``(n,)`` or ``(n, D)`` numbers in [0, 1], for instance from :func:`pit_values`.
        names: of the columns.
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
    labels = list(names) if names is not None else [f"$x_{{{index + 1}}}$" if size > 1 else "" for index in range(size)]
    figure = new_figure(max(2.4 * size, 3.4), 5.2)
    upper, lower = figure.subplots(2, size, squeeze=False)
    for index in range(size):
        _draw_pit_histogram(upper[index], values[:, index], bins)
        _draw_reliability(lower[index], values[:, index])
        upper[index].set(title=labels[index], ylabel="density" if index == 0 else "")
        lower[index].set(ylabel="share of values below" if index == 0 else "")
    return figure


def _draw_pit_histogram(axes: Axes, values: NDArray[Any], bins: int) -> None:
    """The histogram of PIT values with the band of chance."""
    with requires("plots", purpose="the band of chance"):
        from scipy.stats import binom

    count = len(values)
    low, high = binom.ppf([0.025, 0.975], count, 1.0 / bins) * bins / count
    axes.axhspan(low, high, color=PALE, alpha=0.6, linewidth=0)
    axes.hist(values, bins=bins, range=(0, 1), density=True, histtype="step", color=MODEL, linewidth=1.3)
    axes.axhline(1.0, color=DATA, linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, 1), xlabel="$F(y)$", ylim=(0, max(2.0, axes.get_ylim()[1])))
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
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted level")
    axes.set_aspect("equal")
    tidy(axes)
