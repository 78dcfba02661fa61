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
