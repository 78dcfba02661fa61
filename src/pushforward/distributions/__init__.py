"""Base distributions: where a flow ends."""

from pushforward.distributions.autoregressive.masked import (
    RNADE,
    AutoregressiveDistribution,
    BernoulliMass,
    BinaryMADE,
    Conditional,
    GaussianMixtureConditional,
)
from pushforward.distributions.autoregressive.pixels import PixelDistribution
from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.beta import Beta
from pushforward.distributions.continuous.correlated_normal import ConditionalFactorNormal, ConditionalFullNormal
from pushforward.distributions.continuous.generalised_pareto import GeneralisedPareto
from pushforward.distributions.continuous.learned_normal import DiagonalNormal, FullNormal
from pushforward.distributions.continuous.logistic import StandardLogistic
from pushforward.distributions.continuous.marginal_tails import MarginalTails
from pushforward.distributions.continuous.mixture import ConditionalGaussianMixture, GaussianMixture
from pushforward.distributions.continuous.normal import ConditionalNormal, StandardNormal
from pushforward.distributions.continuous.student_t import LearnedStudentT, StudentT
from pushforward.distributions.continuous.uniform import Uniform
from pushforward.distributions.copulas.gaussian import GaussianCopula
from pushforward.distributions.copulas.student import StudentCopula
from pushforward.distributions.copulas.vine import VineCopula
from pushforward.distributions.cumulative.base import CumulativeNetwork
from pushforward.distributions.cumulative.increasing import IncreasingNetwork
from pushforward.distributions.cumulative.penalised import PenalisedNetwork
from pushforward.distributions.discrete.categorical import CategoricalMass
from pushforward.distributions.discrete.discretized_logistic import DiscretizedLogisticMixture
from pushforward.distributions.discrete.integers import Categorical, Discrete, DiscretizedLogistic, GroupedDiscrete
from pushforward.distributions.discrete.mass import MassFunction
from pushforward.distributions.discrete.one_hot import (
    AutoregressiveCategorical,
    FromOneHot,
    OneHotAutoregressiveCategorical,
    OneHotCategorical,
)
from pushforward.distributions.elements import GaussianConditional, GivenParameters
from pushforward.distributions.from_torch import FromTorch
from pushforward.distributions.manifolds.antipodal import Antipodal
from pushforward.distributions.manifolds.circles import UniformCircles
from pushforward.distributions.manifolds.kent import Kent
from pushforward.distributions.manifolds.uniform_sphere import UniformSphere
from pushforward.distributions.manifolds.von_mises import LearnedVonMises, VonMises
from pushforward.distributions.manifolds.von_mises_fisher import VonMisesFisher
from pushforward.distributions.mixtures.assigned import Assigned
from pushforward.distributions.mixtures.mixture import Mixture

__all__ = [
    "Assigned",
    "Mixture",
    "CumulativeNetwork",
    "IncreasingNetwork",
    "PenalisedNetwork",
    "Antipodal",
    "Kent",
    "UniformSphere",
    "VonMisesFisher",
    "AutoregressiveCategorical",
    "FromOneHot",
    "FromTorch",
    "OneHotAutoregressiveCategorical",
    "OneHotCategorical",
    "AutoregressiveDistribution",
    "BernoulliMass",
    "BinaryMADE",
    "Conditional",
    "GaussianMixtureConditional",
    "PixelDistribution",
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
    "UniformCircles",
    "VonMises",
    "LearnedVonMises",
    "Categorical",
    "CategoricalMass",
    "Discrete",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "GroupedDiscrete",
    "MassFunction",
    "ConditionalFactorNormal",
    "ConditionalFullNormal",
    "ConditionalNormal",
    "GaussianConditional",
    "GivenParameters",
    "Distribution",
    "StandardNormal",
    "GaussianCopula",
    "GeneralisedPareto",
    "MarginalTails",
    "StudentCopula",
    "VineCopula",
]
