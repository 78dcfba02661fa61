"""A regressor that gives the whole conditional density of its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from pushforward.errors import DataError, UsageError
from pushforward.tables.columns import Array
from pushforward.tables.fitting import Training, canonical_rows, train_flow
from pushforward.tables.inputs import checked_table, checked_target, checked_weights
from pushforward.tables.likelihood import cell_points, decode, encode, inner, log_density
from pushforward.tables.table import BoundPair, FeatureCode, LatentCode, Table

LINE_POINTS = 65
CUBE_POINTS = 256
CHUNK = 1024


class FlowRegressor(RegressorMixin, BaseEstimator):
    r"""The conditional density ``p(y | x)`` of one or more targets, by a conditional normalizing flow.

    ``log p(y | x) = log N(f(u(y); x)) + log |det df/du| + sum_i log |du_i/dy_i|`` with ``u`` the standardised target.
    It answers with the mean, with quantiles, with samples and with log-densities in the target's own units. Features
    may be numbers (standardised) or categories (one-hot).

    Args:
        model: the name of a recipe of ``pushforward.build`` with a standard normal base.
        model_options: configuration for it; what is left out is chosen by the number of rows.
        columns: ``{column: kind}`` of features whose dtype does not say what is meant, as in :class:`FlowDensity`.
        target_columns: ``{target: "ordinal"}`` of targets that are integers and get a mass; others are continuous.
        bounds: ``{target: (low, high)}``, None for no bound; targets by name, or by index where they have none.
        quadrature: points for the mass of ordinal targets, a power of two.
        max_steps, max_time, batch_size, learning_rate: of the training; None chooses by the number of rows.
        validation_fraction: the part of the rows that is held out to stop by, at least 20 rows or a quarter of few;
            0 trains on all.
        patience: how many validations without progress end the training.
        accelerator: where to train, as Lightning names it; the fitted flow is on the CPU.
        random_state: makes a fit repeatable.
        verbose: 1 shows the training's progress.

    Attributes:
        flow_: the trained flow, in double precision, over the targets' codes given the features' codes.
        n_features_in_, feature_names_in_: the columns it was fitted on.
        n_outputs_: how many targets.

    Raises:
        UsageError: for an option that does not fit.
        DataError: for missing or infinite values, naming the columns and how many.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(80, 1))
        >>> regressor = FlowRegressor(random_state=0).fit(x, 3 * x[:, 0])
        >>> regressor.predict(x).shape, regressor.predict_quantiles(x, [0.1, 0.9]).shape
        ((80,), (80, 2))
    """

    def __init__(
        self,
        model: str = "nsf",
        *,
        model_options: Mapping[str, Any] | None = None,
        columns: Mapping[Any, str] | None = None,
        target_columns: Mapping[Any, str] | None = None,
        bounds: Mapping[Any, BoundPair] | None = None,
        quadrature: int = 16,
        max_steps: int | None = None,
        max_time: str | float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        patience: int = 6,
        accelerator: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.model_options = model_options
        self.columns = columns
        self.target_columns = target_columns
        self.bounds = bounds
        self.quadrature = quadrature
        self.max_steps = max_steps
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.accelerator = accelerator
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FlowRegressor:
        """Fit the conditional density of ``y``, ``(n,)`` or ``(n, outputs)``, given ``X``, ``(n, columns)``."""
        X = checked_table(self, X, reset=True, min_rows=2)
        target, self._flat = checked_target(y)
        check_consistent_length(X, target)
        weights = checked_weights(sample_weight, X)
        self._table = Table(X, self.columns)
        self._target = Table(target, continuous_by_default(target, self.target_columns))
        self.n_outputs_ = len(self._target.fields)
        features, targets = self._table.read(X), self._target.read(target)
        rows = canonical_rows(np.concatenate([features, targets], axis=1), weights)
        features, targets = np.split(rows.values, [features.shape[1]], axis=1)
        self._features = FeatureCode(self._table, features, rows.weights)
        self._code = LatentCode(self._target, targets, rows.weights, self.bounds)
        self._cell_points = cell_points(self.quadrature, self._code.noises)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        contexts = self._features.encode(features)
        self.flow_ = train_flow(Training.of(self), seed, self._code, targets, contexts, rows.weights)
        return self

    def predict(self, X: Any) -> Array:
        """Return the conditional mean, ``(n,)`` or ``(n, outputs)``.

        An integral over the latent: 65 points on a line for one target, 256 Sobol points for more.
        """
        contexts = self._contexts(X)
        latents, weights = mean_points(self._code.features)
        means = [np.tensordot(weights, self._images(latents, part), axes=1) for part in chunks(contexts)]
        return self._shaped(np.concatenate(means))

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Return conditional quantiles, ``(n, quantiles)`` or ``(n, quantiles, outputs)``.

        Exact for one target, whose flow is an increasing map of a normal; of 256 Sobol points for more.

        Raises:
            UsageError: if a quantile is not between 0 and 1.
        """
        levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
        if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
            raise UsageError(f"quantiles expects numbers between 0 and 1, got {quantiles!r}")
        contexts = self._contexts(X)
        if self._code.features <= 1:
            latents = np.repeat(ndtri(levels)[:, None], self._code.features, axis=1)
            images = [self._images(latents, part) for part in chunks(contexts)]
        else:
            latents, _ = mean_points(self._code.features)
            images = [np.quantile(self._images(latents, part), levels, axis=0) for part in chunks(contexts)]
        return self._shaped(np.moveaxis(np.concatenate(images, axis=1), 0, 1))

    def sample(self, X: Any, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> Array:
        """Draw targets for each row, ``(n, n_samples)`` or ``(n, n_samples, outputs)``."""
        if n_samples < 1:
            raise UsageError(f"n_samples expects at least 1, got {n_samples}")
        contexts = self._contexts(X)
        state = check_random_state(self.random_state if random_state is None else random_state)
        latents = state.standard_normal((len(contexts) * n_samples, self._code.features))
        codes = decode(self.flow_, latents, np.repeat(contexts, n_samples, axis=0))
        return self._shaped(self._code.decode(codes).reshape(len(contexts), n_samples, self.n_outputs_))

    def log_prob(self, X: Any, y: Any) -> Array:
        """Return ``log p(y | x)`` of each row, ``(n,)``, nats in the target's own units; ``-inf`` outside bounds."""
        contexts, targets = self._contexts(X), self._targets(y, X)
        return log_density(self.flow_, self._code, self._cell_points, targets, contexts)

    def log_likelihood(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean of ``log p(y | x)``; :meth:`score` is the R^2 of the mean, as for every regressor."""
        values = self.log_prob(X, y)
        return float(np.average(values, weights=checked_weights(sample_weight, values)))

    def pit(self, X: Any, y: Any) -> Array:
        """Return the probability integral transform ``F(y | x)``, ``(n,)`` or ``(n, outputs)``, uniform if calibrated.

        With several targets each is given the ones before it, as far as the model keeps their order; ordinal targets
        are taken from the middle of their cell. ``pushforward.plots.calibration`` draws it.
        """
        contexts, targets = self._contexts(X), self._targets(y, X)
        codes, _ = self._code.encode(targets, np.full((len(targets), self._code.noises), 0.5))
        return self._shaped(ndtr(encode(self.flow_, codes, contexts)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _contexts(self, X: Any) -> Array:
        check_is_fitted(self)
        return self._features.encode(self._table.read(checked_table(self, X, reset=False)))

    def _targets(self, y: Any, X: Any) -> Array:
        target, _ = checked_target(y)
        check_consistent_length(X, target)
        if target.shape[1] != self.n_outputs_:
            raise DataError(f"y expects {self.n_outputs_} outputs, as in fit, got {target.shape[1]}")
        return self._target.read(target)

    def _images(self, latents: Array, contexts: Array) -> Array:
        """The targets of each latent ``(points, D)`` for each context: ``(points, n, outputs)``."""
        shape = (len(latents), len(contexts), self.n_outputs_)
        repeated = np.repeat(latents, len(contexts), axis=0)
        codes = decode(self.flow_, repeated, np.tile(contexts, (len(latents), 1)))
        return self._code.decode(codes).reshape(shape)

    def _shaped(self, values: Array) -> Array:
        return values[..., 0] if self._flat else values


def continuous_by_default(target: Any, kinds: Mapping[Any, str] | None) -> dict[Any, str]:
    """Every target's kind: continuous, integers too, unless the user says ordinal.

    Raises:
        UsageError: for a target of another kind.
    """
    names = list(target.columns) if hasattr(target, "columns") else list(range(target.shape[1]))
    wrong = [kind for kind in (kinds or {}).values() if kind not in ("continuous", "ordinal")]
    if wrong:
        raise UsageError(f"target_columns expects 'continuous' or 'ordinal', got {wrong[0]!r}")
    return dict.fromkeys(names, "continuous") | dict(kinds or {})


def mean_points(dimensions: int) -> tuple[Array, Array]:
    """Latents ``(points, dimensions)`` and weights whose weighted mean is an expectation under the standard normal."""
    if dimensions == 0:
        return np.zeros((1, 0)), np.ones(1)
    if dimensions == 1:
        # The trapezoid rule converges fast for what falls off at both ends, and holds for kinks too.
        line = np.linspace(-6.0, 6.0, LINE_POINTS)
        weights = np.exp(-0.5 * line**2)
        return line[:, None], weights / weights.sum()
    return ndtri(inner(qmc.Sobol(dimensions, rng=0).random(CUBE_POINTS))), np.full(CUBE_POINTS, 1.0 / CUBE_POINTS)


def chunks(rows: Array) -> list[Array]:
    """Parts of the rows that fit in memory at all points of an integral."""
    return [rows[start : start + CHUNK] for start in range(0, max(len(rows), 1), CHUNK)]
