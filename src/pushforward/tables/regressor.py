"""A regressor that gives the whole conditional density of its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.base import RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from pushforward.diagnostics.calibration import directions
from pushforward.errors import DataError, UsageError
from pushforward.tables.chunks import slices
from pushforward.tables.classes import WithClasses
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array
from pushforward.tables.declarations import BoundPair, Circles
from pushforward.tables.described import Described
from pushforward.tables.features import FeatureCode
from pushforward.tables.fitting import Training, train_flow
from pushforward.tables.inputs import (
    check_draws,
    check_settings,
    checked_table,
    checked_target,
    checked_weights,
    weighted_mean,
)
from pushforward.tables.latents import decode, encode, given
from pushforward.tables.likelihood import log_density
from pushforward.tables.means import conditional_means
from pushforward.tables.quadrature import cell_points, inner, mean_points
from pushforward.tables.random_states import check_random_state
from pushforward.tables.report import ColumnReports
from pushforward.tables.rows import canonical_rows
from pushforward.tables.saving import Saved
from pushforward.tables.table import TARGET, Table
from pushforward.tables.targets import check_targets, kinds_of_targets


class FlowRegressor(RegressorMixin, WithClasses, Described, Saved):
    r"""The conditional density ``p(y | x)`` of one or more targets, by a conditional normalizing flow.

    ``log p(y | x) = log N(f(u(y); x)) + log |det df/du| + sum_i log |du_i/dy_i|`` with ``u`` the standardised target.
    It answers with the mean, with quantiles, with samples and with log-densities in the target's own units, and for a
    target of classes with their probabilities. Features may be of every kind that :class:`FlowDensity` knows, also
    missing; a category that was not there when fitting counts as none of those that were.

    Args:
        model: the name of a recipe of ``pushforward.build`` for vectors with a standard normal base.
        model_options: configuration for it; what is left out is chosen by the number of rows.
        columns: ``{column: kind}`` of features whose dtype does not say what is meant, as in :class:`FlowDensity`.
        target_columns: ``{target: "ordinal" | "categorical"}`` of numbers that are counted or are names of classes and
            get a mass; other numbers are continuous, strings, booleans and categories are classes.
        bounds: ``{target: (low, high)}``, None for no bound; targets by name, or by index where they have none. The
            limits belong to them.
        circular: ``{column: (low, high)}``, or a period alone, of features that go around a circle.
        missing: of features, ``"model"`` shows them as such, ``"error"`` refuses them; targets may not be missing.
        quadrature: points for the mass of ordinal targets, a power of two.
        max_steps, max_time, batch_size, learning_rate: of the training; None chooses by the number of rows.
        validation_fraction: the part of the rows that is held out to stop by, at least 20 rows or a quarter of few;
            0 trains on all.
        patience: how many validations without progress end the training.
        compile: compile the training, as in ``pushforward.fit``; by default where that surely saves time.
        accelerator: where to train, as Lightning names it; the fitted flow is on the CPU.
        random_state: makes a fit repeatable.
        verbose: 1 shows the training's progress.

    Attributes:
        flow_: the trained flow, in double precision, over the targets' codes given the features' codes.
        columns_: of what kind each feature is, and why; :meth:`summary` prints it.
        target_columns_: the same of the targets.
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
        columns: Mapping[Any, str] | str | None = None,
        target_columns: Mapping[Any, str] | None = None,
        bounds: Mapping[Any, BoundPair] | None = None,
        circular: Circles | None = None,
        missing: str = "model",
        quadrature: int = 32,
        max_steps: int | None = None,
        max_time: str | float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        patience: int = 6,
        compile: bool | Literal["auto"] = "auto",
        accelerator: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
    ) -> None:
        self.model = model
        self.model_options = model_options
        self.columns = columns
        self.target_columns = target_columns
        self.bounds = bounds
        self.circular = circular
        self.missing = missing
        self.quadrature = quadrature
        self.max_steps = max_steps
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.compile = compile
        self.accelerator = accelerator
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FlowRegressor:
        """Fit the conditional density of ``y``, ``(n,)`` or ``(n, outputs)``, given ``X``, ``(n, columns)``."""
        check_settings(self)
        X = checked_table(self, X, reset=True, min_rows=2)
        target, self._flat = checked_target(y)
        check_consistent_length(X, target)
        weights = checked_weights(sample_weight, X)
        self._table = Table(X, self.columns, missing=self.missing)
        self._target = Table(target, kinds_of_targets(target, self.target_columns), TARGET, "error")
        check_targets(self._target)
        self.n_outputs_ = len(self._target.fields)
        features, targets = self._table.read(X), self._target.read(target)
        rows = canonical_rows(np.concatenate([features, targets], axis=1), weights)
        features, targets = np.split(rows.values, [features.shape[1]], axis=1)
        self._features = FeatureCode(self._table, features, rows.weights, self.circular)
        self._code = LatentCode(self._target, targets, rows.weights, self.bounds)
        self._cell_points = cell_points(self.quadrature, self._code.features + 1)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        contexts = self._features.encode(features)
        self.flow_ = train_flow(Training.of(self), seed, self._code, targets, contexts, rows.weights)
        self._directions = self._found_directions(contexts)
        return self

    def predict(self, X: Any) -> Any:
        """Return the conditional mean, the most probable class of a categorical target, ``(n,)`` or ``(n, outputs)``.

        The mean is an integral over the latent: 65 points on a line for one target, and more where its value jumps,
        256 Sobol points for several.
        """
        contexts = self._contexts(X)
        values = conditional_means(self.flow_, self._code, contexts)
        for output, chances in self._chances(contexts).items():
            values[:, output] = chances.argmax(1)
        return self._labelled(values)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R^2 of :meth:`predict`, the accuracy of a categorical target, the mean of these for several."""
        classes = self._categorical()
        if not classes:
            return float(super().score(X, y, sample_weight))
        truth, found = (self._targets(each, X) for each in (y, self.predict(X)))
        scores = [
            (accuracy_score if output in classes else r2_score)(
                truth[:, output], found[:, output], sample_weight=sample_weight
            )
            for output in range(self.n_outputs_)
        ]
        return float(np.mean(scores))

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Return conditional quantiles, ``(n, quantiles)`` or ``(n, quantiles, outputs)``, in the order asked for.

        Exact for one target, which is a monotone map of a normal, increasing or decreasing; of 256 Sobol points for
        more.

        Raises:
            UsageError: if a quantile is not between 0 and 1, or a target is categorical, whose classes have no order.
        """
        if self._categorical():
            raise UsageError("predict_quantiles expects targets that are numbers: classes have no order, predict_proba")
        levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
        if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
            raise UsageError(f"quantiles expects numbers between 0 and 1, got {quantiles!r}")
        contexts = self._contexts(X)
        if self._code.features <= 1:
            # The normal is symmetric: where the map decreases, the latent of the level p is that of 1 - p, negated.
            latents = ndtri(levels)[:, None] * self._directions
            values = list(self._images(latents, contexts))
        else:
            latents, _ = mean_points(self._code.features)
            values = [np.quantile(images, levels, axis=0) for images in self._images(latents, contexts)]
        return self._shaped(np.moveaxis(np.concatenate(values, axis=1), 0, 1))

    def sample(self, X: Any, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> Any:
        """Draw targets for each row, ``(n, n_samples)`` or ``(n, n_samples, outputs)``."""
        check_draws(n_samples)
        contexts = self._contexts(X)
        state = check_random_state(self.random_state if random_state is None else random_state)
        values = []
        for draws in slices(len(contexts) * n_samples, self._code.width + contexts.shape[1]):
            latents = state.standard_normal((draws.stop - draws.start, self._code.features))
            rows = np.arange(draws.start, draws.stop) // n_samples
            values.append(decode(self.flow_, self._code, latents, contexts[rows]))
        drawn = self._labelled(np.concatenate(values))
        return np.asarray(drawn).reshape(len(contexts), n_samples, *([] if self._flat else [self.n_outputs_]))

    def log_prob(self, X: Any, y: Any) -> Array:
        """Return ``log p(y | x)`` of each row, ``(n,)``, nats in the target's own units; ``-inf`` outside bounds."""
        contexts, targets = self._contexts(X), self._targets(y, X)
        return log_density(self.flow_, self._code, self._cell_points, targets, contexts)

    def log_likelihood(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean of ``log p(y | x)``; :meth:`score` is the R^2 of the mean, as for every regressor."""
        values = self.log_prob(X, y)
        return weighted_mean(values, sample_weight)

    def pit(self, X: Any, y: Any, random_state: int | np.random.RandomState | None = 0) -> Array:
        """Return the probability integral transform ``F(y | x)``, ``(n,)`` or ``(n, outputs)``, uniform if calibrated.

        With several targets each is given the ones before it, as far as the model keeps their order. A value that has a
        mass is taken from anywhere in its step of ``F``, at random, without which no step is uniform (Czado, Gneiting,
        Held 2009, Biometrics 65); constant targets are 0.5. ``pushforward.plots.calibration`` draws it.

        Raises:
            DataError: if a target is outside its bounds.
        """
        contexts, targets = self._contexts(X), self._targets(y, X)
        values = np.full(targets.shape, 0.5)
        noise = inner(check_random_state(random_state).random_sample((len(targets), self._code.noises)))
        latents = encode(self.flow_, self._code, targets, contexts, noise)
        values[:, self._code.varying] = ndtr(latents * self._directions)
        return self._shaped(values)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = self.missing == "model"
        return tags

    @property
    def target_columns_(self) -> ColumnReports:
        """How each target is modelled, and why."""
        check_is_fitted(self)
        return self._code.report

    def _reports(self) -> list[ColumnReports]:
        return [self._features.report, self._code.report]

    def _found_directions(self, contexts: Array) -> Array:
        """1 for each target code that increases with its latent, -1 for each that decreases."""
        return np.ones(0) if self.flow_ is None else directions(self.flow_, given(contexts[:1])).numpy()

    def _contexts(self, X: Any) -> Array:
        check_is_fitted(self)
        return self._features.encode(self._table.read(checked_table(self, X, reset=False)))

    def _targets(self, y: Any, X: Any) -> Array:
        target, _ = checked_target(y)
        check_consistent_length(X, target)
        if target.shape[1] != self.n_outputs_:
            raise DataError(f"y expects {self.n_outputs_} outputs, as in fit, got {target.shape[1]}")
        return self._target.read(target)
