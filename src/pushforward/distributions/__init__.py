"""Base distributions: where a flow ends."""

from pushforward.distributions.autoregressive import (
    RNADE,
    AutoregressiveDistribution,
    BernoulliMass,
    BinaryMADE,
    Conditional,
    GaussianMixtureConditional,
)
from pushforward.distributions.beta import Beta
from pushforward.distributions.categorical import CategoricalMass
from pushforward.distributions.discrete import Categorical, Discrete, DiscretizedLogistic, GroupedDiscrete
from pushforward.distributions.discretized_logistic import DiscretizedLogisticMixture
from pushforward.distributions.distribution import Distribution
from pushforward.distributions.learned_normal import DiagonalNormal, FullNormal
from pushforward.distributions.logistic import StandardLogistic
from pushforward.distributions.mass import MassFunction
from pushforward.distributions.mixture import ConditionalGaussianMixture, GaussianMixture
from pushforward.distributions.normal import ConditionalNormal, StandardNormal
from pushforward.distributions.one_hot import (
    AutoregressiveCategorical,
    FromOneHot,
    OneHotAutoregressiveCategorical,
    OneHotCategorical,
)
from pushforward.distributions.student_t import LearnedStudentT, StudentT
from pushforward.distributions.uniform import Uniform

__all__ = [
    "AutoregressiveCategorical",
    "FromOneHot",
    "OneHotAutoregressiveCategorical",
    "OneHotCategorical",
    "AutoregressiveDistribution",
    "BernoulliMass",
    "BinaryMADE",
    "Conditional",
    "GaussianMixtureConditional",
    "RNADE",
    "Beta",
    "ConditionalGaussianMixture",
    "DiagonalNormal",
    "FullNormal",
    "GaussianMixture",
    "LearnedStudentT",
    "StandardLogistic",
    "StudentT",
    "Uniform",
    "Categorical",
    "CategoricalMass",
    "Discrete",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "GroupedDiscrete",
    "MassFunction",
    "ConditionalNormal",
    "Distribution",
    "StandardNormal",
]
