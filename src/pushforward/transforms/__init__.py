"""Transforms: which dimensions see which, and what reshapes or re-represents the data."""

from pushforward.transforms.autoregressive.autoregressive import Autoregressive
from pushforward.transforms.autoregressive.one_hot import OneHotAutoregressive
from pushforward.transforms.base import Bijection, Transform
from pushforward.transforms.blocks import Blocks, Repeated
from pushforward.transforms.chain import Chain
from pushforward.transforms.conditioning import ReachWarning
from pushforward.transforms.continuous.continuous import Continuous
from pushforward.transforms.continuous.fixed_steps import FixedSteps
from pushforward.transforms.continuous.gradients import Checkpoints
from pushforward.transforms.continuous.solver import DormandPrince
from pushforward.transforms.continuous.trace import ExactTrace, Hutchinson
from pushforward.transforms.coupling import masks
from pushforward.transforms.coupling.coupling import Coupling
from pushforward.transforms.coupling.parts import Multipartite, bipartite, multipartite, quadripartite
from pushforward.transforms.elementary.hinge import PlacedHinge
from pushforward.transforms.elementary.radial import PlacedRadial
from pushforward.transforms.elementary.spline import PlacedSpline
from pushforward.transforms.elementwise import ConditionalElementwise, Elementwise
from pushforward.transforms.inverse import Inverse
from pushforward.transforms.linear.convolution import InvertibleConvolution, InvertibleConvolutionLU
from pushforward.transforms.linear.matrices import Householder, MatrixExponential, Triangular, diagonal, lu, qr
from pushforward.transforms.linear.normalisation import ActNorm, BatchNorm
from pushforward.transforms.linear.permutation import Permutation, flip, random_permutation
from pushforward.transforms.linear.rotations import PrincipalAxes, RandomRotation
from pushforward.transforms.linear.standardisation import Standardise
from pushforward.transforms.logit import Logit
from pushforward.transforms.manifolds.convex_potential import ConvexPotentialMap
from pushforward.transforms.manifolds.exponential_map import ExponentialMap
from pushforward.transforms.manifolds.fields import ConformalField, EvenField, ExponentialField, ScalarField
from pushforward.transforms.manifolds.geographic import GeographicCoordinates
from pushforward.transforms.manifolds.radians import Radians
from pushforward.transforms.manifolds.recursive import RecursiveSphere
from pushforward.transforms.manifolds.rotation import Rotation
from pushforward.transforms.reshape.each_frame import EachFrame
from pushforward.transforms.reshape.interlace import Interlace
from pushforward.transforms.reshape.patches import Flatten, Patches
from pushforward.transforms.reshape.squeeze import Squeeze
from pushforward.transforms.residual.contractive import Contractive
from pushforward.transforms.residual.fixed_point import FixedPointInverse
from pushforward.transforms.residual.log_determinants.base import LogDeterminant
from pushforward.transforms.residual.log_determinants.exact import ExactLogDeterminant
from pushforward.transforms.residual.log_determinants.in_forward import GradientsInForward
from pushforward.transforms.residual.log_determinants.neumann import NeumannGradients
from pushforward.transforms.residual.log_determinants.series import RussianRoulette, TruncatedSeries
from pushforward.transforms.residual.log_determinants.terms import GeometricTerms, PoissonTerms
from pushforward.transforms.residual.mint import Mint
from pushforward.transforms.residual.orthonormal import (
    HouseholderBasis,
    OrthogonalBasis,
    OrthonormalBasis,
    PermutationBasis,
)
from pushforward.transforms.residual.planar import Planar
from pushforward.transforms.residual.radial import Radial
from pushforward.transforms.residual.sylvester import Sylvester
from pushforward.transforms.sigmoidal_decoder import SigmoidalDecoder
from pushforward.transforms.stochastic.hamiltonian import Hamiltonian
from pushforward.transforms.stochastic.kernel import ForceKernel, Kernel
from pushforward.transforms.stochastic.langevin import Langevin
from pushforward.transforms.stochastic.metropolis import Metropolis
from pushforward.transforms.stochastic.relaxation import Relaxation
from pushforward.transforms.stochastic.targets import Annealed, TiltedNormal
from pushforward.transforms.surjections.augmentation import Augmentation
from pushforward.transforms.surjections.categorical_encoding import CategoricalEncoding
from pushforward.transforms.surjections.dequantization import Dequantization, VariationalDequantization
from pushforward.transforms.surjections.gaussian_dequantization import GaussianDequantization
from pushforward.transforms.surjections.integers import Integers
from pushforward.transforms.surjections.piecewise import Piecewise, regions
from pushforward.transforms.surjections.variational_encoding import VariationalEncoding
from pushforward.transforms.tails.extreme_value import ExtremeValueTails
from pushforward.transforms.tails.normal_scores import NormalScores
from pushforward.transforms.tails.regression import TriangularRegression

__all__ = [
    "PlacedSpline",
    "PlacedHinge",
    "PlacedRadial",
    "PrincipalAxes",
    "RandomRotation",
    "SigmoidalDecoder",
    "ConformalField",
    "ConvexPotentialMap",
    "EvenField",
    "ExponentialField",
    "ExponentialMap",
    "RecursiveSphere",
    "Rotation",
    "ScalarField",
    "VariationalEncoding",
    "Augmentation",
    "Blocks",
    "CategoricalEncoding",
    "Repeated",
    "Checkpoints",
    "Continuous",
    "DormandPrince",
    "ExactTrace",
    "FixedSteps",
    "Hutchinson",
    "OneHotAutoregressive",
    "Integers",
    "Interlace",
    "Flatten",
    "Patches",
    "Multipartite",
    "bipartite",
    "multipartite",
    "quadripartite",
    "regions",
    "ActNorm",
    "Autoregressive",
    "BatchNorm",
    "Bijection",
    "Chain",
    "ConditionalElementwise",
    "Coupling",
    "Dequantization",
    "GaussianDequantization",
    "EachFrame",
    "Elementwise",
    "Inverse",
    "InvertibleConvolution",
    "InvertibleConvolutionLU",
    "Logit",
    "Permutation",
    "Piecewise",
    "Radians",
    "Squeeze",
    "Transform",
    "VariationalDequantization",
    "flip",
    "masks",
    "random_permutation",
    "Householder",
    "MatrixExponential",
    "Triangular",
    "diagonal",
    "lu",
    "qr",
    "Mint",
    "Contractive",
    "ExactLogDeterminant",
    "FixedPointInverse",
    "GeographicCoordinates",
    "GeometricTerms",
    "GradientsInForward",
    "LogDeterminant",
    "NeumannGradients",
    "PoissonTerms",
    "RussianRoulette",
    "TruncatedSeries",
    "Planar",
    "Radial",
    "HouseholderBasis",
    "OrthogonalBasis",
    "OrthonormalBasis",
    "PermutationBasis",
    "Sylvester",
    "Standardise",
    "ExtremeValueTails",
    "NormalScores",
    "TriangularRegression",
    "ReachWarning",
    "Annealed",
    "ForceKernel",
    "Hamiltonian",
    "Kernel",
    "Langevin",
    "Metropolis",
    "Relaxation",
    "TiltedNormal",
]
