"""Variational inference: a flow fitted to a density that is known up to a constant, and judged by its weights."""

from pushforward.inference.variational.density import UnconstrainedDensity
from pushforward.inference.variational.divergences import (
    AlphaDivergence,
    Divergence,
    ForwardKL,
    ReverseKL,
    StickingTheLanding,
)
from pushforward.inference.variational.fitting import fit_posterior
from pushforward.inference.variational.neutra import WarpedDensity, neutra
from pushforward.inference.variational.ordered import ordered_vector
from pushforward.inference.variational.posterior import VariationalPosterior

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
