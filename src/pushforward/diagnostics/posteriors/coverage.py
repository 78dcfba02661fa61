"""How often credible regions hold the truth: regions of highest density, and balls around random points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.draws import (
    Estimator,
    Given,
    Posterior,
    as_posterior,
    check_pairs,
    plain,
    posterior_draws,
    ranks_of,
)
from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.standardised import mean_and_scale, standardised_rows
from pushforward.diagnostics.posteriors.uniformity import Array, Uniformity, seeds, uniformity
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.scalar.arguments import check_counts


@dataclass(frozen=True, repr=False)
class Coverage(Sentence):
    """The share of truths within credible regions, for each level of them.

    Attributes:
        ranks: ``(N,)``, how many draws lie nearer to the middle of the regions than the truth does.
        draws: how many there are for each truth.
        test: bands and the p-value.

    Example:
        >>> theta = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
        >>> narrow = 0.2 * torch.randn(99, 200, 1, generator=torch.Generator().manual_seed(1))
        >>> found = tarp(narrow, theta, torch.zeros(200, 1))
        >>> found.draws, found.levels.shape == found.coverage.shape, found.p_value < 0.01
        (99, True, True)
    """

    ranks: Tensor
    draws: int
    test: Uniformity

    @property
    def levels(self) -> Array:
        """The shares that the regions promise, ``(K,)``."""
        return self.test.levels

    @property
    def coverage(self) -> Array:
        """The shares that they hold, ``(K,)``."""
        return self.test.shares[:, 0]

    @property
    def p_value(self) -> float:
        """Small where the regions do not hold what they promise."""
        return self.test.p_value

    @property
    def calibration_error(self) -> float:
        """The mean of ``|coverage - level|``; chance alone leaves about ``0.3 / sqrt(N)``."""
        return float(np.abs(self.coverage - self.levels).mean())

    @property
    def excess(self) -> float:
        """The mean of ``coverage - level``: negative where regions are too small (over-confident), positive where they
        are too large."""
        return 0.5 - float(self._inside.mean())

    @property
    def excess_error(self) -> float:
        """The standard error of `excess`."""
        return float(self._inside.std()) / len(self.ranks) ** 0.5

    @property
    def _inside(self) -> Tensor:
        """The level of the region that just holds the truth."""
        return (self.ranks.double() + 0.5) / (self.draws + 1)

    def __str__(self) -> str:
        return f"coverage - level {self.excess:+.3f} +- {self.excess_error:.3f}, p = {self.p_value:.3g}"


def expected_coverage(
    posterior: Posterior | Estimator, theta: Tensor, x: Tensor, *, draws: int = 199, seed: int = 0
) -> Coverage:
    r"""How often regions of highest posterior density hold the truth.

    The region of level ``a`` at ``x`` holds the share ``a`` of the posterior where it is densest; the expected coverage
    is the share of pairs whose ``theta`` lies inside. A posterior that ignores ``x``, the prior, passes.

    Args:
        posterior: with ``sample(n, x)`` and ``log_prob(theta, x)``, a conditional flow for instance; or an estimator
            with ``posterior(x)``.
        theta: parameters ``(N, D)`` of the prior.
        x: an observation for each, ``(N, ...)``.
        draws: for each observation.
        seed: of the draws and of the test.

    Raises:
        UsageError: if there is no ``log_prob``: `tarp` needs none.
        ShapeError: if shapes do not fit.
        DataError: if parameters or draws are not finite, or a log-density is NaN.

    Source: Hermans et al. (2022), arXiv:2110.06581.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.nsf(features=1, context=1, layers=1)
        >>> theta = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
        >>> expected_coverage(flow, theta, theta).calibration_error < 0.2
        True
    """
    check_counts("expected_coverage", draws=draws)
    check_pairs("expected_coverage", theta, x)
    log_prob = getattr(as_posterior("expected_coverage", posterior), "log_prob", None)
    if log_prob is None:
        raise UsageError(
            f"expected_coverage expects a posterior with log_prob(theta, x), got {type(posterior).__name__}: tarp "
            "needs draws alone"
        )
    first, second, third = seeds(seed, 3)
    drawn = posterior_draws("expected_coverage", posterior, draws, x, first, theta.shape[1])
    with torch.no_grad():
        scores = [-_log_densities(log_prob, each, x) for each in (theta, drawn)]
    if any(bool(each.isnan().any()) for each in scores):
        raise DataError("expected_coverage expects log-densities that are numbers, got NaN")
    return _coverage(ranks_of(scores[0], scores[1], second), draws, third)


def tarp(
    posterior: Given | Tensor,
    theta: Tensor,
    x: Tensor,
    *,
    draws: int = 199,
    references: Tensor | Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> Coverage:
    r"""How often balls around random points that hold a share of the posterior hold the truth (tests of accuracy with
    random points).

    For a reference ``r`` the region of level ``a`` is the ball around it with the share ``a`` of the draws; distances
    are between standardised parameters. Needs draws alone. Where the references depend on ``x``, as they do by default,
    a posterior that ignores it fails; where every function of ``x`` passes, the posterior is right.

    Args:
        posterior: with ``sample(n, x)``, a conditional flow for instance; an estimator with ``posterior(x)``; a
            function of ``n`` and ``x``; or draws ``(n, N, D)``.
        theta: parameters ``(N, D)`` of the prior.
        x: an observation for each, ``(N, ...)``.
        draws: for each observation.
        references: points ``(N, D)`` that know nothing of ``theta`` but through ``x``, or a function of ``x`` that
            gives them; by default random projections of ``x`` into the box that holds the parameters.
        seed: of the draws, the references and the test.

    Raises:
        ShapeError: if shapes do not fit.
        DataError: if parameters or draws are not finite.

    Source: Lemos et al. (2023), arXiv:2302.03026.

    Example:
        >>> theta = torch.randn(300, 1, generator=torch.Generator().manual_seed(0))
        >>> x = theta + torch.randn(300, 1, generator=torch.Generator().manual_seed(1))
        >>> right = lambda n, x: x / 2 + 0.5**0.5 * torch.randn(n, *x.shape)
        >>> prior = lambda n, x: torch.randn(n, *x.shape)
        >>> tarp(right, theta, x).p_value > 0.05, tarp(prior, theta, x).p_value < 0.01
        (True, True)
    """
    check_counts("tarp", draws=draws)
    check_pairs("tarp", theta, x)
    first, second, third, fourth = seeds(seed, 4)
    drawn = plain(posterior_draws("tarp", posterior, draws, x, first, theta.shape[1]))
    truth = plain(theta)
    points = projected_references(truth, x, second) if references is None else references
    points = plain(torch.as_tensor(points(x) if callable(points) else points))
    if points.shape != truth.shape:
        raise ShapeError(f"tarp expects references of shape {tuple(truth.shape)}, got {tuple(points.shape)}")
    _, spread = mean_and_scale(truth)
    near, far = (((each - points) / spread).square().sum(-1) for each in (truth, drawn))
    return _coverage(ranks_of(near, far, third), len(drawn), fourth)


def projected_references(theta: Tensor, x: Tensor, seed: int) -> Tensor:
    """Points of the box that holds the parameters, ``low + (high - low) Phi(W x)`` with a random ``W`` and ``x``
    standardised."""
    rows = standardised_rows(x, x)
    weights = torch.randn(
        rows.shape[1], theta.shape[1], dtype=rows.dtype, generator=torch.Generator().manual_seed(seed)
    )
    low, high = theta.min(0).values, theta.max(0).values
    return torch.lerp(low, high, torch.special.ndtr(rows @ weights / rows.shape[1] ** 0.5))


def _log_densities(log_prob: Callable[[Tensor, Tensor], Tensor], theta: Tensor, x: Tensor) -> Tensor:
    """One number for each of the parameters ``(..., N, D)``."""
    found = plain(log_prob(theta, x))
    if found.shape != theta.shape[:-1]:
        raise ShapeError(
            f"expected_coverage expects log_prob to give one number for each of {tuple(theta.shape[:-1])} parameters, "
            f"got {tuple(found.shape)}"
        )
    return found


def _coverage(ranks: Tensor, draws: int, seed: int) -> Coverage:
    return Coverage(ranks, draws, uniformity(ranks[:, None], draws, seed=seed))
