"""What a flow is made of and how well it does."""

from pushforward.diagnostics.importance import (
    Estimate,
    effective_sample_size,
    free_energy,
    free_energy_difference,
    log_normaliser,
)
from pushforward.diagnostics.pareto import pareto_shape, smoothed_weights
from pushforward.diagnostics.straightness import straightness
from pushforward.diagnostics.summary import Summary, count_parameters, summary

__all__ = [
    "Estimate",
    "Summary",
    "count_parameters",
    "effective_sample_size",
    "free_energy",
    "free_energy_difference",
    "log_normaliser",
    "pareto_shape",
    "smoothed_weights",
    "straightness",
    "summary",
]
