"""What training minimises."""

from pushforward.training.objectives.cumulative import (
    CumulativeFit,
    EmpiricalTargets,
    StochasticTargets,
    anderson_darling,
    equal_weights,
)
from pushforward.training.objectives.deep_density import DeepDensity
from pushforward.training.objectives.defaults import OBJECTIVES, ObjectiveName, objective_for, objective_of_model
from pushforward.training.objectives.evidence import ELBO
from pushforward.training.objectives.flow_matching import FlowMatching
from pushforward.training.objectives.likelihood import NegativeLogLikelihood, negative_log_likelihood
from pushforward.training.objectives.objective import Objective, objective_at
from pushforward.training.objectives.order_agnostic import OrderAgnosticLikelihood

__all__ = [
    "ELBO",
    "OBJECTIVES",
    "CumulativeFit",
    "DeepDensity",
    "EmpiricalTargets",
    "StochasticTargets",
    "FlowMatching",
    "NegativeLogLikelihood",
    "Objective",
    "ObjectiveName",
    "OrderAgnosticLikelihood",
    "negative_log_likelihood",
    "objective_at",
    "objective_for",
    "objective_of_model",
    "anderson_darling",
    "equal_weights",
]
