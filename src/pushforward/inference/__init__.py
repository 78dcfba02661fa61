"""Inference with flows: posteriors of densities, of simulators and of inverse problems."""

from pushforward.inference.inverse_problems.bidirectional import Bidirectional
from pushforward.inference.inverse_problems.latent import ObservationAndLatent
from pushforward.inference.inverse_problems.narrowing import NarrowingLikelihood
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
from pushforward.inference.simulation.amortised import AmortisedPosterior
from pushforward.inference.simulation.chains import ChainDiagnostics
from pushforward.inference.simulation.likelihood import NLE, LikelihoodPosterior
from pushforward.inference.simulation.posterior import NPE, FlowPosterior
from pushforward.inference.simulation.prior import Prior
from pushforward.inference.simulation.prior_draws import PriorDraws
from pushforward.inference.simulation.rounds import simulate_in_rounds
from pushforward.inference.simulation.simulate import OneByOne, simulate
from pushforward.inference.simulation.summaries import ImageSummary, SeriesSummary, SetSummary, padded
from pushforward.inference.simulation.truncation import TruncatedPrior
from pushforward.inference.simulation.unbounded import Unbounded
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
    "AmortisedPosterior",
    "Bidirectional",
    "Calibration",
    "calibration",
    "ChainDiagnostics",
    "conditional_invertible_flow",
    "ConditionalInvertibleNetwork",
    "Divergence",
    "fit_posterior",
    "FlowPosterior",
    "ForwardKL",
    "ImageSummary",
    "InverseSolver",
    "invertible_flow",
    "InvertibleNetwork",
    "LikelihoodPosterior",
    "NarrowingLikelihood",
    "neutra",
    "NLE",
    "NPE",
    "ObservationAndLatent",
    "OneByOne",
    "ordered_vector",
    "padded",
    "Prior",
    "PriorDraws",
    "rejection_sample",
    "resimulation_error",
    "ReverseKL",
    "SeriesSummary",
    "SetSummary",
    "simulate",
    "simulate_in_rounds",
    "StickingTheLanding",
    "TruncatedPrior",
    "two_way_coupling",
    "Unbounded",
    "UnconstrainedDensity",
    "VariationalPosterior",
    "WarpedDensity",
]
