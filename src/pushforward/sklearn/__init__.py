"""Estimators for scikit-learn: the density of a table, and the conditional density of a target."""

from pushforward.sklearn.density import FlowDensity
from pushforward.sklearn.regressor import FlowRegressor

__all__ = ["FlowDensity", "FlowRegressor"]
