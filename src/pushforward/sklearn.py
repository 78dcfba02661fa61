"""Estimators for scikit-learn: the density of a table, and the conditional density of a target."""

from __future__ import annotations

import os

from pushforward.extras import requires

with requires("tables", purpose="pushforward.sklearn"):
    from pushforward.tables import saving
    from pushforward.tables.density import FlowDensity
    from pushforward.tables.regressor import FlowRegressor

__all__ = ["FlowDensity", "FlowRegressor", "load"]


def load(path: str | os.PathLike[str]) -> FlowDensity | FlowRegressor:
    """Read a fitted estimator that its ``save`` wrote; loading runs no code from the file.

    Raises:
        CheckpointError: if the file is missing, damaged, foreign or of another version.

    Example:
        >>> import tempfile, pathlib, numpy as np
        >>> x = np.random.default_rng(0).normal(size=(60, 1))
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "regressor.safetensors"
        >>> FlowRegressor(max_steps=5, random_state=0).fit(x, 3 * x[:, 0]).save(path)
        >>> load(path)
        FlowRegressor(max_steps=5, random_state=0)
    """
    estimator: FlowDensity | FlowRegressor = saving.load(path, (FlowDensity, FlowRegressor))
    return estimator
