"""The covariance of many columns by a few factors, where that predicts rows better than regressions do."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import FactorAnalysis

from pushforward.tables.columns import Array, Mask

FEWEST_COLUMNS = 24
MOST_ROWS_FOR_A_COLUMN = 100
HELD_OUT = 5


def worth_trying(rows: int, columns: int) -> bool:
    """Whether a table is so wide that its covariance has too many numbers for its rows."""
    return columns >= FEWEST_COLUMNS and rows <= MOST_ROWS_FOR_A_COLUMN * columns


def best_factor_analysis(train: Array, test: Array) -> tuple[FactorAnalysis, float]:
    """The factor analysis with the highest mean log-likelihood of ``test``, and that.

    The number of factors is doubled for as long as the likelihood rises.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 30)) + rng.normal(size=(400, 30))
        >>> best_factor_analysis(x[:300], x[300:])[0].n_components
        2
    """
    best, score, count = FactorAnalysis(0), -np.inf, 1
    while count <= train.shape[1] // 2:
        model = FactorAnalysis(count).fit(train)
        found = float(model.score(test))
        if found <= score:
            break
        best, score, count = model, found, 2 * count
    return best, score


def whitening_factor(covariance: Array) -> Array:
    """The lower triangular ``W`` with ``W covariance W^T = I``."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def held_out(rows: int) -> Mask:
    """Which rows are held out, one in five at random."""
    return np.random.default_rng(0).permutation(rows) % HELD_OUT == 0


def normal_score(z: Array, factor: Array) -> float:
    """The mean log-likelihood of rows whose whitened values are ``z``."""
    log_det = np.log(np.diagonal(factor)).sum()
    return float(log_det - 0.5 * (z**2).sum(1).mean() - 0.5 * z.shape[1] * np.log(2 * np.pi))
