"""Inference with flows: posteriors of densities that are known up to a constant."""

from pushforward.inference.variational import (
    AlphaDivergence,
    Divergence,
    ForwardKL,
    ReverseKL,
    StickingTheLanding,
    UnconstrainedDensity,
    VariationalPosterior,
    WarpedDensity,
    fit_posterior,
    neutra,
    ordered_vector,
)

__all__ = [
    "AlphaDivergence",
    "Divergence",
    "ForwardKL",
    "ReverseKL",
    "StickingTheLanding",
    "UnconstrainedDensity",
    "VariationalPosterior",
    "WarpedDensity",
    "fit_posterior",
    "neutra",
    "ordered_vector",
]
