"""Training: objectives, `fit` on the Lightning Trainer, and `evaluate`."""

from pushforward.training.conditional_distillation import match_conditionals
from pushforward.training.continuous_regularisation import RegularisedLikelihood
from pushforward.training.distillation import match_activations, match_density
from pushforward.training.evaluate import Evaluation, evaluate
from pushforward.training.fit import fit
from pushforward.training.objectives import (
    ELBO,
    CumulativeFit,
    DeepDensity,
    EmpiricalTargets,
    FlowMatching,
    OrderAgnosticLikelihood,
    StochasticTargets,
    anderson_darling,
    equal_weights,
    negative_log_likelihood,
)
from pushforward.training.path_objectives import Mixed, PathKL
from pushforward.training.reflow import reflow, solved_by
from pushforward.training.result import FitResult

__all__ = [
    "ELBO",
    "CumulativeFit",
    "DeepDensity",
    "OrderAgnosticLikelihood",
    "EmpiricalTargets",
    "StochasticTargets",
    "Evaluation",
    "FitResult",
    "FlowMatching",
    "RegularisedLikelihood",
    "Mixed",
    "PathKL",
    "evaluate",
    "fit",
    "match_activations",
    "match_conditionals",
    "match_density",
    "negative_log_likelihood",
    "reflow",
    "solved_by",
    "anderson_darling",
    "equal_weights",
]
