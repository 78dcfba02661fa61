"""What estimators check of their input before any work."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_array, validate_data

from pushforward.errors import DataError, UsageError
from pushforward.models.options import check_options
from pushforward.tables.columns import Array

_LEAST = {"max_steps": 1, "batch_size": 1, "patience": 1, "quadrature": 1, "verbose": 0}


def check_settings(estimator: BaseEstimator) -> None:
    """Check an estimator's parameters, which scikit-learn wants done when it is fitted.

    Raises:
        UsageError: for a value of the wrong type or below the least.
    """
    cls = type(estimator)
    check_options(cls.__name__, cls.__init__, estimator.get_params(deep=False), _LEAST)


def check_draws(n_samples: Any) -> None:
    """Raise :class:`UsageError` unless a number of samples is one."""
    if not isinstance(n_samples, Integral) or isinstance(n_samples, bool) or n_samples < 1:
        raise UsageError(f"n_samples expects a whole number of at least 1, got {n_samples!r}")


def checked_table(estimator: BaseEstimator, X: Any, *, reset: bool, min_rows: int = 1) -> Any:
    """Return ``X`` as a data frame or a two-dimensional array, its columns checked against the fitted ones.

    Raises:
        ValueError, TypeError: as scikit-learn does, for sparse, complex, empty or misshapen input.
        DataError: for a data frame with too few rows, no columns, or two of one name.
    """
    if not isinstance(X, pd.DataFrame) and hasattr(X, "to_pandas"):
        X = X.to_pandas()
    if not isinstance(X, pd.DataFrame):
        names_from = X
        X = check_array(X, dtype=None, ensure_all_finite=False, ensure_min_samples=min_rows, estimator=estimator)
        validate_data(estimator, names_from, reset=reset, skip_check_array=True)
        return X
    if not X.columns.is_unique:
        repeated = X.columns[X.columns.duplicated()][0]
        raise DataError(f"columns expect names of their own, got {repeated!r} more than once: rename or drop one")
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if len(X) < min_rows or X.shape[1] == 0:
        raise DataError(
            f"Found a data frame with {len(X)} sample(s) and {X.shape[1]} feature(s), while a minimum of {min_rows} "
            f"samples and 1 feature is required by {type(estimator).__name__}"
        )
    return X


def checked_target(y: Any) -> tuple[Any, bool]:
    """Return a target as a data frame or two-dimensional array of one column for each output, and whether it was flat.

    Raises:
        ValueError: if it is missing, empty or misshapen.
    """
    if y is None:
        raise DataError("This estimator requires y to be passed, but the target y is None")
    if isinstance(y, pd.Series):
        return y.to_frame(y.name if y.name is not None else 0), True
    if isinstance(y, pd.DataFrame):
        return y, False
    values = check_array(y, dtype=None, ensure_2d=False, ensure_all_finite=False, input_name="y")
    return (values.reshape(-1, 1), True) if values.ndim == 1 else (values, False)


def checked_weights(sample_weight: Any, X: Any) -> Array:
    """Return one weight for each row, ones for None."""
    # scikit-learn's check wants an array or table of which it only takes the length.
    return _check_sample_weight(sample_weight, np.empty((len(X), 1)), dtype=np.float64)


def weighted_mean(values: Array, sample_weight: Any) -> float:
    """The weighted mean of values, of which those of weight 0 do not count, whatever they are.

    Raises:
        DataError: if all weights are zero.
    """
    weights = checked_weights(sample_weight, values)
    counted = weights != 0
    if not counted.any():
        raise DataError("sample_weight expects numbers that are not all 0")
    return float(np.average(values[counted], weights=weights[counted]))
