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
"""Inference: posteriors of a simulator's parameters."""

from pushforward.inference.simulation.chains import ChainDiagnostics
from pushforward.inference.simulation.likelihood import NLE, LikelihoodPosterior
from pushforward.inference.simulation.posterior import NPE, FlowPosterior
from pushforward.inference.simulation.prior import Prior
from pushforward.inference.simulation.rounds import simulate_in_rounds
from pushforward.inference.simulation.simulate import OneByOne, simulate
from pushforward.inference.simulation.summaries import ImageSummary, SeriesSummary, SetSummary, padded
from pushforward.inference.simulation.truncation import TruncatedPrior
from pushforward.inference.simulation.unbounded import Unbounded

__all__ = [
    "NLE",
    "NPE",
    "ChainDiagnostics",
    "FlowPosterior",
    "ImageSummary",
    "LikelihoodPosterior",
    "OneByOne",
    "Prior",
    "SeriesSummary",
    "SetSummary",
    "TruncatedPrior",
    "Unbounded",
    "padded",
    "simulate",
    "simulate_in_rounds",
"""Inference: posteriors of what cannot be observed."""

from pushforward.inference.inverse_problems.bidirectional import Bidirectional
from pushforward.inference.inverse_problems.latent import ObservationAndLatent
from pushforward.inference.inverse_problems.networks import (
    conditional_invertible_flow,
    invertible_flow,
    two_way_coupling,
)
from pushforward.inference.inverse_problems.posterior_errors import Calibration, calibration, resimulation_error
from pushforward.inference.inverse_problems.rejection import rejection_sample
from pushforward.inference.inverse_problems.solver import (
    ConditionalInvertibleNetwork,
    InverseSolver,
    InvertibleNetwork,
)

__all__ = [
    "Bidirectional",
    "Calibration",
    "ConditionalInvertibleNetwork",
    "InverseSolver",
    "InvertibleNetwork",
    "ObservationAndLatent",
    "calibration",
    "conditional_invertible_flow",
    "invertible_flow",
    "rejection_sample",
    "resimulation_error",
    "two_way_coupling",
]
