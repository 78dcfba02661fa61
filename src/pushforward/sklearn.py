"""Estimators for scikit-learn: the density of a table, and the conditional density of a target."""

from pushforward.extras import requires

with requires("tables", purpose="pushforward.sklearn"):
    from pushforward.tables.density import FlowDensity
    from pushforward.tables.regressor import FlowRegressor

__all__ = ["FlowDensity", "FlowRegressor"]
