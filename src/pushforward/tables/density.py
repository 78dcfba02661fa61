"""A density estimator for tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from pushforward.data.streams import ParquetStream
from pushforward.errors import DataError, UsageError
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array
from pushforward.tables.completing import Completing
from pushforward.tables.declarations import BoundPair, Circles
from pushforward.tables.described import Described, warn_of_columns
from pushforward.tables.fitting import Training, train_flow
from pushforward.tables.inputs import check_draws, check_settings, checked_table, checked_weights, weighted_mean
from pushforward.tables.latents import decode, encode, middles
from pushforward.tables.likelihood import log_density
from pushforward.tables.quadrature import cell_points, inner
from pushforward.tables.random_states import check_random_state
from pushforward.tables.rows import canonical_rows, split_rows
from pushforward.tables.saving import Saved
from pushforward.tables.streaming import fit_to_stream
from pushforward.tables.table import Table

ENTROPY_ROWS = 500


class FlowDensity(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, Completing, Described, Saved):
    r"""The joint density of a table's columns, by a normalizing flow.

    ``log p(x) = log N(f(u(x))) + log |det df/du| + sum_i log |du_i/dx_i|``: each column is brought to the real line by
    ``u``, standardised, and a flow ``f`` takes the rows to a normal distribution. Log-densities are in the data's own
    units, nats. Columns may be

    - continuous (floats): a density;
    - ordinal (integers) or categorical (strings, booleans, pandas categories): a probability mass. Uniform noise
      spreads each value over a cell, and the mass is the density's mean over the cell, by ``quadrature`` points that
      are the same for every row;
    - constant: the one value has probability 1, any other 0.

    Rows outside the support (beyond a bound, an unknown category) have a log-density of ``-inf``. The fit does not
    depend on the order of the rows, and a weight of 2 is the same as the row twice.

    Args:
        model: the name of a recipe of ``pushforward.build`` for vectors with a standard normal base.
        model_options: configuration for it, e.g. ``{"layers": 5, "hidden": (128, 128)}``; what is left out is chosen
            by the number of rows.
        columns: ``{column: "continuous" | "ordinal" | "categorical" | "date" | "id"}`` where the values do not say
            what is meant, or one kind for all.
        bounds: ``{column: (low, high)}``, None for no bound, of what a column can ever be; both belong to it.
        circular: ``{column: (low, high)}``, or a period alone, of columns that go around a circle.
        atoms: ``{column: values}`` of a continuous column with a mass of their own, in place of those found.
        missing: ``"model"``, as values of their own, or ``"error"`` to refuse tables with missing values.
        quadrature: most points for the mass of discrete columns, a power of two; rows with one cell take 16 at most.
        max_steps, max_time, batch_size, learning_rate: of the training; None chooses by the number of rows. A single
            column needs no training: its marginal distribution is its density.
        validation_fraction: the part of the rows that is held out to stop by, at least 20 rows or a quarter of few;
            0 trains on all.
        patience: how many validations without progress end the training.
        compile: compile the training, as in ``pushforward.fit``; by default where that surely saves time.
        accelerator: where to train, as Lightning names it; the fitted flow is on the CPU.
        random_state: makes a fit repeatable.
        verbose: 1 shows the training's progress.

    Attributes:
        columns_: how each column is modelled, and why; :meth:`summary` prints it.
        entropy_: the mean of ``-log p`` over rows held out from the training, nats.
        flow_: the trained flow, in double precision, over the codes of the columns that are not constant.
        n_features_in_, feature_names_in_: the columns it was fitted on.

    Raises:
        UsageError: for an option that does not fit.
        DataError: for missing or infinite values, naming the columns and how many.

    Example:
        >>> X = np.random.default_rng(0).normal(5.0, 2.0, (60, 2))
        >>> density = FlowDensity(random_state=0).fit(X)
        >>> density.score_samples(X).shape, density.sample(3).shape
        ((60,), (3, 2))
    """

    def __init__(
        self,
        model: str = "nsf",
        *,
        model_options: Mapping[str, Any] | None = None,
        columns: Mapping[Any, str] | str | None = None,
        bounds: Mapping[Any, BoundPair] | None = None,
        circular: Circles | None = None,
        atoms: Mapping[Any, Sequence[float]] | None = None,
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
        self.bounds = bounds
        self.circular = circular
        self.atoms = atoms
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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> FlowDensity:
        """Fit the density to a table ``(n, columns)``.

        Args:
            X: a data frame or array of at least two rows; or a `ParquetStream`, of which no more than a sample and a
                buffer of rows are in memory.
            y: ignored.
            sample_weight: one number of at least 0 for each row; a stream has none.
        """
        check_settings(self)
        if isinstance(X, ParquetStream):
            if sample_weight is not None:
                raise UsageError("sample_weight expects a table in memory: a stream's rows have none")
            fit_to_stream(self, X)
            self.entropy_ = -self.score((X.held_out or X).sample(ENTROPY_ROWS))
            return self
        X = checked_table(self, X, reset=True, min_rows=2)
        weights = checked_weights(sample_weight, X)
        self._table = Table(X, self.columns, missing=self.missing)
        rows = canonical_rows(self._table.read(X), weights)
        self._code = LatentCode(self._table, rows.values, rows.weights, self.bounds, self.circular, self.atoms)
        warn_of_columns(self._code.report)
        self._n_features_out = self._code.features
        self._cell_points = cell_points(self.quadrature, self._code.features + 1)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        none = np.empty((len(rows.values), 0))
        self.flow_ = train_flow(Training.of(self), seed, self._code, rows.values, none, rows.weights)
        inner, held_out = split_rows(len(rows.values), self.validation_fraction, seed)
        judged = (held_out if len(held_out) else inner)[:ENTROPY_ROWS]
        self.entropy_ = -weighted_mean(self._log_density(rows.values[judged]), rows.weights[judged])
        return self

    def score_samples(self, X: Any) -> Array:
        """Return the log-density of each row, ``(n,)``; log-mass in discrete columns, ``-inf`` outside the support."""
        return self._log_density(self._read(X))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean log-density of the rows."""
        values = self.score_samples(X)
        return weighted_mean(values, sample_weight)

    def anomaly_score(self, X: Any, kind: str = "log_density") -> Array:
        r"""Return how unusual each row is, ``(n,)``, in nats; higher is more unusual, ``inf`` outside the support.

        ``"log_density"`` is ``-log p(x)``. It finds rows where there are few, but misleads where there are many
        columns: rows of a distribution do not lie where its density is highest. Of 100 independent standard normals
        ``-log p`` is 142 +- 7, and the point of zeros, which no sample comes near, has 92: the least anomalous of
        all. Likewise smooth pictures have higher densities under models of detailed ones, whatever they show, and the
        density depends on the units in which a column is measured.

        ``"typicality"`` is ``|-log p(x) - H|``, with the entropy ``H`` estimated from rows that were held out from the
        training (``entropy_``): a row is unusual if its density is too high as well as too low (Nalisnick, Matsukawa,
        Teh, Lakshminarayanan 2019, arXiv:1906.02994, their test for one row). It cannot see what is unusual at a usual
        density, and in few columns log-density is the better of the two.

        Raises:
            UsageError: for another kind.

        Example:
            >>> X = np.random.default_rng(0).normal(size=(200, 20))
            >>> density = FlowDensity(max_steps=5, random_state=0).fit(X)
            >>> mode = np.zeros((1, 20))
            >>> bool(density.anomaly_score(mode) < density.anomaly_score(X).min())
            True
            >>> bool(density.anomaly_score(mode, "typicality") > np.median(density.anomaly_score(X, "typicality")))
            True
        """
        if kind not in ("log_density", "typicality"):
            raise UsageError(f"kind expects 'log_density' or 'typicality', got {kind!r}")
        surprise = -self.score_samples(X)
        return surprise if kind == "log_density" else np.abs(surprise - self.entropy_)

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None, *, given: Any = None
    ) -> Any:
        """Draw rows, as a table like the one that was fitted on, with its dtypes and categories.

        Args:
            n_samples: how many.
            random_state: in place of the estimator's own.
            given: ``{column: value}``, or a data frame of some of the columns: the others are drawn given these,
                ``n_samples`` rows for each one (:meth:`conditional`).
        """
        check_is_fitted(self)
        check_draws(n_samples)
        if given is not None:
            own = self.random_state if random_state is None else random_state
            return self.conditional(given).sample(n_samples, own)
        state = check_random_state(self.random_state if random_state is None else random_state)
        return self.inverse_transform(state.standard_normal((n_samples, self._code.features)))

    def transform(self, X: Any) -> Array:
        """Return the rows as normal latents, ``(n, columns that vary)``; discrete values from the middle of their cell.

        Raises:
            DataError: if a row is outside the support and so has no latent.
        """
        numbers = self._read(X)
        return self._latents(numbers, middles(len(numbers), self._code))

    def pit(self, X: Any, random_state: int | np.random.RandomState | None = 0) -> Array:
        """Return the probability integral transforms ``Phi(z)`` of the rows' latents, uniform if the density is right.

        A value that has a mass is taken from anywhere in its cell, at random, as in :meth:`FlowRegressor.pit`.

        Raises:
            DataError: if a row is outside the support and so has no latent.
        """
        numbers = self._read(X)
        noise = inner(check_random_state(random_state).random_sample((len(numbers), self._code.noises)))
        return np.asarray(ndtr(self._latents(numbers, noise)))

    def _latents(self, numbers: Array, noise: Array) -> Array:
        return encode(self.flow_, self._code, numbers, np.empty((len(numbers), 0)), noise)

    def inverse_transform(self, Z: Any) -> Any:
        """Return the rows of latents ``(n, columns that vary)`` as a table like the one that was fitted on."""
        check_is_fitted(self)
        z = np.asarray(Z, dtype=np.float64)
        if z.ndim != 2 or z.shape[1] != self._code.features:
            raise DataError(f"inverse_transform expects latents (n, {self._code.features}), got shape {z.shape}")
        return self._table.write(decode(self.flow_, self._code, z, np.empty((len(z), 0))))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "model"
        return tags

    def _log_density(self, numbers: Array) -> Array:
        return log_density(self.flow_, self._code, self._cell_points, numbers, np.empty((len(numbers), 0)))

    def _read(self, X: Any) -> Array:
        check_is_fitted(self)
        return self._table.read(checked_table(self, X, reset=False))
