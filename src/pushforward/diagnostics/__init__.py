"""What a flow is made of, how well it does, and whether posteriors can be believed."""

from pushforward.diagnostics.attributes import attribute_direction, manipulate
from pushforward.diagnostics.importance import (
    Estimate,
    effective_sample_size,
    free_energy,
    free_energy_difference,
    log_normaliser,
)
from pushforward.diagnostics.interpolation import interpolate, spherical, straight
from pushforward.diagnostics.pareto import pareto_shape, smoothed_weights
from pushforward.diagnostics.posteriors import (
    Coverage,
    Discrepancy,
    LocalTest,
    Misspecification,
    PredictiveCheck,
    RankCalibration,
    TwoSampleTest,
    c2st,
    expected_coverage,
    local_c2st,
    misspecification,
    mmd,
    posterior_predictive,
    sbc,
    tarp,
)
from pushforward.diagnostics.straightness import straightness
from pushforward.diagnostics.summary import Summary, count_parameters, summary
from pushforward.transforms.tails.degrees import student_degrees
from pushforward.transforms.tails.indices import tail_index

__all__ = [
    "Coverage",
    "Discrepancy",
    "Estimate",
    "LocalTest",
    "Misspecification",
    "PredictiveCheck",
    "RankCalibration",
    "Summary",
    "TwoSampleTest",
    "attribute_direction",
    "c2st",
    "count_parameters",
    "effective_sample_size",
    "expected_coverage",
    "free_energy",
    "free_energy_difference",
    "interpolate",
    "local_c2st",
    "log_normaliser",
    "pareto_shape",
    "smoothed_weights",
    "manipulate",
    "misspecification",
    "mmd",
    "posterior_predictive",
    "sbc",
    "spherical",
    "straight",
    "straightness",
    "summary",
    "student_degrees",
    "tail_index",
    "tarp",
]
