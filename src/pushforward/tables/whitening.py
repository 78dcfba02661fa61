"""The linear part of the dependence between columns, estimated in closed form before a flow learns the rest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.flows import Flow
from pushforward.networks.context import vector_context
from pushforward.numerics import batch_shape, solve_triangular
from pushforward.spaces import Reals
from pushforward.tables import factors
from pushforward.tables.columns import Array
from pushforward.transforms.base import Bijection
from pushforward.transforms.chain import Chain

MOST_ROWS = 4000
LEAST_SPREAD = 1e-3
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e3, 1e6)


class Whitening(Bijection):
    r"""A fixed linear map ``z = W (x - B c - m)`` with a lower triangular ``W``, ``log_det = sum_d log W_dd``.

    Each dimension loses what is linear in the context and in the dimensions before it, and gets variance 1. It keeps
    the order of the dimensions, so a discrete column stays a column of steps for an autoregressive flow.

    Args:
        factor: ``W``, ``(D, D)``, lower triangular with a positive diagonal.
        slopes: ``B``, ``(D, C)``.
        center: ``m``, ``(D,)``.

    All are kept in double precision.

    Example:
        >>> whitening = Whitening(2 * torch.eye(2), torch.zeros(2, 0), torch.ones(2))
        >>> z, log_det = whitening(torch.tensor([2.0, 1.0], dtype=torch.float64))
        >>> z.tolist(), round(log_det.item(), 4)
        ([2.0, 0.0], 1.3863)
    """

    factor: Tensor
    slopes: Tensor
    center: Tensor

    def __init__(self, factor: Tensor, slopes: Tensor, center: Tensor) -> None:
        super().__init__()
        for name, value in (("factor", factor), ("slopes", slopes), ("center", center)):
            self.register_buffer(name, value.double())
        self.domain = self.codomain = Reals((len(self.center),))
        self.context = vector_context(self.slopes.shape[1], "Whitening")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        z = (x - self._expected(context)) @ self.factor.mT
        return z, self._log_det().expand(batch_shape(x, 1))

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        flat = z.reshape(-1, z.shape[-1])
        centred = solve_triangular(self.factor, flat.mT, upper=False).mT.reshape(z.shape)
        return centred + self._expected(context), -self._log_det().expand(batch_shape(z, 1))

    def _expected(self, context: Tensor | None) -> Tensor:
        return self.center if context is None else self.center + context @ self.slopes.mT

    def _log_det(self) -> Tensor:
        return self.factor.diagonal().log().sum()


def whitening_of(flow: Flow) -> Whitening:
    """The first part of a trained flow."""
    assert isinstance(flow.transform, Chain)
    first = flow.transform.parts[0]
    assert isinstance(first, Whitening)
    return first


def fit_whitening(codes: Array, contexts: Array, weights: Array) -> Whitening:
    """Estimate the map by ridge regression on the context, then of each dimension on those before it.

    Of a wide table with few rows the covariance is that of a factor analysis where this predicts held-out rows better.
    """
    chosen = np.unique(np.linspace(0, len(codes) - 1, max(MOST_ROWS, 10 * codes.shape[1])).astype(np.int64))
    codes, contexts, weights = codes[chosen], contexts[chosen], weights[chosen]
    center = np.average(codes, axis=0, weights=weights)
    context_center = np.average(contexts, axis=0, weights=weights)
    centred = contexts - context_center
    residual, slopes = codes - center, np.zeros((codes.shape[1], contexts.shape[1]))
    for index in range(codes.shape[1]):
        # The others that come before have lost what is linear in the context, so the two regressions do not meet.
        slopes[index], _ = ridge(centred, residual[:, index], weights)
        residual[:, index] -= centred @ slopes[index]
    factor = covariance_factor(residual, weights)
    return Whitening(*map(torch.from_numpy, (factor, slopes, center - slopes @ context_center)))


def covariance_factor(residual: Array, weights: Array) -> Array:
    """The lower triangular factor ``(D, D)`` that gives centred rows uncorrelated columns of variance 1."""
    if factors.worth_trying(*residual.shape) and weights.min() == weights.max():
        left_out = factors.held_out(len(residual))
        train, test = residual[~left_out], residual[left_out]
        model, score = factors.best_factor_analysis(train, test)
        regressed = regression_factor(train, weights[~left_out])
        if score > factors.normal_score(test @ regressed.T, regressed):
            return factors.whitening_factor(model.fit(residual).get_covariance())
    return regression_factor(residual, weights)


def regression_factor(residual: Array, weights: Array) -> Array:
    """The factor by regressions of each column on those before it."""
    factor = np.eye(residual.shape[1])
    for index in range(residual.shape[1]):
        before, spread = ridge(residual[:, :index], residual[:, index], weights)
        factor[index, :index] = -before
        # A column that follows from the others has no spread of its own to divide by.
        factor[index] /= max(spread, LEAST_SPREAD)
    return factor


def ridge(regressors: Array, target: Array, weights: Array) -> tuple[Array, float]:
    """The slopes of a weighted ridge regression of centred columns, and the spread of what they leave.

    The penalty has the smallest leave-one-out error, which is also the spread: the errors of the fit itself would be
    too small where rows are few (Golub, Heath, Wahba 1979, Technometrics 21).
    """
    weights = weights / weights.mean()
    scaled = regressors * np.sqrt(weights)[:, None]
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    rotated = scaled @ vectors
    moments = rotated.T @ (np.sqrt(weights) * target)
    best, spread = np.zeros(regressors.shape[1]), np.inf
    for penalty in PENALTIES:
        shrunk = 1.0 / (np.maximum(values, 0.0) + penalty)
        slopes = vectors @ (shrunk * moments)
        leverage = (rotated**2) @ shrunk + 1.0 / len(weights)
        left_out = (target - regressors @ slopes) / np.maximum(1.0 - leverage, 1e-9)
        error = float(np.sqrt(np.average(left_out**2, weights=weights)))
        if error < spread:
            best, spread = slopes, error
    return best, spread
