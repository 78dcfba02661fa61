"""Whether posteriors can be believed: ranks, coverage, tests against chance, and predictions beside what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.diagnostics.posteriors import Coverage, PredictiveCheck, RankCalibration, TwoSampleTest
from pushforward.errors import UsageError
from pushforward.plots.style import DATA, MODEL, PALE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FEATURES = 12


class Tested(Protocol):
    """A statistic with what chance gives, as `mmd`, `local_c2st`, `misspecification` and `posterior_predictive` have
    it."""

    @property
    def value(self) -> float: ...

    @property
    def null(self) -> Tensor: ...

    @property
    def p_value(self) -> float: ...


def ranks(calibration: RankCalibration, names: Sequence[str] | None = None, *, bins: int = 20) -> Figure:
    """Draw the ranks of simulation-based calibration: histograms above, and below the share of ranks under each level
    less the level, with the band that 95 % of calibrated posteriors stay within as a whole.

    A hump in the middle is a posterior that is too wide, a bowl one that is too narrow, a slope one that is shifted. Of
    more than 12 parameters the first are drawn.

    Args:
        calibration: what `pushforward.diagnostics.sbc` gives.
        names: of the parameters, and of the quantity behind them.
        bins: of the histograms, at most.

    Raises:
        UsageError: if there are fewer names than are drawn.

    Example:
        >>> import torch
        >>> from pushforward.diagnostics import sbc
        >>> theta, x = torch.randn(100, 2), torch.zeros(100, 1)
        >>> len(ranks(sbc(torch.randn(50, 100, 2), theta, x)).axes)
        4
    """
    test, size = calibration.test, min(calibration.ranks.shape[1], MOST_FEATURES)
    labels = _labels(names, size, r"\theta")
    figure = new_figure(max(2.6 * size, 3.4), 5.2)
    upper, lower = figure.subplots(2, size, squeeze=False)
    edges = np.unique(np.linspace(0, calibration.draws + 1, bins + 1).round()) - 0.5
    for index in range(size):
        _draw_ranks(upper[index], calibration.ranks[:, index].numpy(), edges, calibration.draws + 1)
        _draw_difference(lower[index], test.levels, test.shares[:, index], test.low, test.high)
        upper[index].set_title(f"{labels[index]}  (p = {test.p_values[index]:.2g})", fontsize=10)
    upper[0].set_ylabel("ranks")
    lower[0].set_ylabel("share below - level")
    return figure


def coverage(results: Coverage | Mapping[str, Coverage]) -> Figure:
    """Draw the coverage of credible regions over their levels, with the band that 95 % of calibrated posteriors stay
    within as a whole: below the diagonal regions are too small, above it too large.

    Args:
        results: what `pushforward.diagnostics.expected_coverage` or `tarp` gives; several by their titles.

    Raises:
        UsageError: if there is none.

    Example:
        >>> import torch
        >>> from pushforward.diagnostics import tarp
        >>> theta, x = torch.randn(100, 2), torch.zeros(100, 1)
        >>> len(coverage({"tarp": tarp(torch.randn(50, 100, 2), theta, x)}).axes)
        1
    """
    several = {"": results} if isinstance(results, Coverage) else results
    if not several:
        raise UsageError("coverage expects at least one result to draw")
    figure = new_figure(3.6 * len(several), 3.8)
    for axes, (title, each) in zip(figure.subplots(1, len(several), squeeze=False)[0], several.items(), strict=True):
        axes.fill_between(each.levels, each.test.low, each.test.high, color=PALE, linewidth=0)
        axes.plot([0, 1], [0, 1], color=DATA, linewidth=0.8, linestyle="--")
        axes.plot(each.levels, each.coverage, color=MODEL, linewidth=1.3)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="credible level", ylabel="coverage", aspect="equal")
        axes.set_title(f"{title}  (p = {each.p_value:.2g})".strip(), fontsize=10)
        tidy(axes)
    return figure


def against_chance(results: Mapping[str, Tested], *, bins: int = 30) -> Figure:
    """Draw statistics as lines over the histograms of what chance gives.

    Args:
        results: what `mmd`, `local_c2st`, `misspecification` or `posterior_predictive` of `pushforward.diagnostics`
            give, by their titles.
        bins: of the histograms.

    Raises:
        UsageError: if there is none.

    Example:
        >>> import torch
        >>> from pushforward.diagnostics import mmd
        >>> len(against_chance({"mmd": mmd(torch.randn(50, 2), torch.randn(50, 2))}).axes)
        1
    """
    if not results:
        raise UsageError("against_chance expects at least one result to draw")
    figure = new_figure(3.6 * len(results), 3.0)
    for axes, (title, each) in zip(figure.subplots(1, len(results), squeeze=False)[0], results.items(), strict=True):
        axes.hist(each.null.numpy(), bins=bins, color=PALE)
        axes.axvline(each.value, color=MODEL, linewidth=1.5)
        axes.set(yticks=[], xlabel="statistic")
        axes.set_title(f"{title}  (p = {each.p_value:.2g})", fontsize=10)
        tidy(axes)
    return figure


def classifier(test: TwoSampleTest, *, bins: int = 30) -> Figure:
    """Draw what a classifier gives held-out events of two samples: two heaps where it tells them apart, one at a half
    where it cannot.

    Args:
        test: what `pushforward.diagnostics.c2st` gives.
        bins: of the histograms.

    Raises:
        MissingExtraError: without matplotlib, the extra ``plots``.

    Example:
        >>> import torch
        >>> from pushforward.diagnostics import c2st
        >>> len(classifier(c2st(torch.randn(50, 1) + 3, torch.randn(50, 1))).axes)
        1
    """
    figure = new_figure(4.4, 3.2)
    axes = figure.subplots()
    of_reference, of_samples = test.probabilities[test.labels], test.probabilities[~test.labels]
    axes.hist(of_reference, bins=bins, range=(0, 1), color=PALE, label="reference")
    axes.hist(of_samples, bins=bins, range=(0, 1), histtype="step", color=MODEL, linewidth=1.3, label="samples")
    axes.set(xlim=(0, 1), yticks=[], xlabel="probability of being of the reference")
    axes.set_title(f"accuracy {test.value:.3f} ± {test.error:.3f}", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
    return figure


def predictive(check: PredictiveCheck, names: Sequence[str] | None = None, *, bins: int = 30) -> Figure:
    """Draw each feature of simulations of the posterior with what was observed as a line.

    Args:
        check: what `pushforward.diagnostics.posterior_predictive` gives; of more than 12 features the first are drawn.
        names: of the features.
        bins: of the histograms.

    Raises:
        UsageError: if there are fewer names than are drawn.

    Example:
        >>> import torch
        >>> from pushforward.diagnostics import posterior_predictive
        >>> prior = lambda n, x: torch.randn(n, len(x), 2)
        >>> len(predictive(posterior_predictive(prior, lambda theta: theta, torch.zeros(2), draws=50)).axes)
        2
    """
    size = min(len(check.observed), MOST_FEATURES)
    labels = _labels(names, size, "x")
    figure = new_figure(max(2.4 * size, 3.4), 2.8)
    for index, axes in enumerate(figure.subplots(1, size, squeeze=False)[0]):
        axes.hist(check.simulations[:, index].numpy(), bins=bins, color=PALE)
        axes.axvline(check.observed[index].item(), color=MODEL, linewidth=1.5)
        axes.set(yticks=[], xlabel=labels[index])
        axes.set_title(f"p = {check.p_values[index].item():.2g}", fontsize=10)
        tidy(axes)
    return figure


def _labels(names: Sequence[str] | None, count: int, letter: str) -> list[str]:
    if names is None:
        return [f"${letter}_{{{index + 1}}}$" for index in range(count)]
    if len(names) < count:
        raise UsageError(f"expected names of all {count} that are drawn, got {', '.join(names) or 'none'}")
    return list(names)


def _draw_ranks(axes: Axes, values: NDArray[Any], edges: NDArray[Any], outcomes: int) -> None:
    axes.hist(values, bins=edges.tolist(), color=PALE)
    # Bins may hold different numbers of outcomes.
    axes.stairs(np.diff(edges) * len(values) / outcomes, edges, color=DATA, linewidth=0.8, linestyle="--")
    axes.set(xlim=(edges[0], edges[-1]), yticks=[], xlabel="rank")
    tidy(axes)


def _draw_difference(
    axes: Axes, levels: NDArray[Any], shares: NDArray[Any], low: NDArray[Any], high: NDArray[Any]
) -> None:
    axes.fill_between(levels, low - levels, high - levels, color=PALE, linewidth=0)
    axes.axhline(0.0, color=DATA, linewidth=0.8, linestyle="--")
    axes.plot(levels, shares - levels, color=MODEL, linewidth=1.3)
    axes.set(xlim=(0, 1), xlabel="level")
    tidy(axes)
