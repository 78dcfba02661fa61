"""Scalar bijections: what happens to one number, given parameters."""

from pushforward.kernels.first_calls import make_first_calls
from pushforward.scalar.affine import Additive, Affine, GatedAffine, LearnedBoundAffine, Scaling
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.circles.base import CircleMap
from pushforward.scalar.circles.combination import Centred, ConvexCombination
from pushforward.scalar.circles.moebius import Moebius
from pushforward.scalar.circles.projection import NonCompactProjection
from pushforward.scalar.circles.rotation import Rotation
from pushforward.scalar.composition import Composition, ConicalCombination
from pushforward.scalar.elementary import Exp, LeakyReLU, Logit, Sigmoid, Softplus, Tanh
from pushforward.scalar.integral import IntegralNetwork
from pushforward.scalar.mixture_cdf import GaussianMixtureCDF, LogisticMixtureCDF, MixtureCDF
from pushforward.scalar.modular import ModularAffine
from pushforward.scalar.monotone import DeepDenseSigmoidal, DeepSigmoidal
from pushforward.scalar.perturbation import PerturbedAffine
from pushforward.scalar.polynomial import OddPolynomial
from pushforward.scalar.rounded_shift import CyclicShift, RoundedShift
from pushforward.scalar.splines.circular import CircularRationalQuadraticSpline
from pushforward.scalar.splines.cubic import CubicSpline
from pushforward.scalar.splines.histogram import DiscretizedLogisticCDF, HistogramCDF
from pushforward.scalar.splines.linear import LinearSpline
from pushforward.scalar.splines.quadratic import QuadraticSpline
from pushforward.scalar.splines.rational_quadratic import RationalQuadraticSpline
from pushforward.scalar.tail import TailTransform

__all__ = [
    "ModularAffine",
    "CyclicShift",
    "RoundedShift",
    "Additive",
    "Centred",
    "CircleMap",
    "ConvexCombination",
    "Moebius",
    "NonCompactProjection",
    "Rotation",
    "Affine",
    "CircularRationalQuadraticSpline",
    "Composition",
    "ConicalCombination",
    "CubicSpline",
    "DeepDenseSigmoidal",
    "DeepSigmoidal",
    "DiscretizedLogisticCDF",
    "Exp",
    "GaussianMixtureCDF",
    "HistogramCDF",
    "IntegralNetwork",
    "LeakyReLU",
    "GatedAffine",
    "LearnedBoundAffine",
    "LinearSpline",
    "LogisticMixtureCDF",
    "Logit",
    "MixtureCDF",
    "OddPolynomial",
    "PerturbedAffine",
    "QuadraticSpline",
    "RationalQuadraticSpline",
    "ScalarBijection",
    "Scaling",
    "Sigmoid",
    "Softplus",
    "TailTransform",
    "Tanh",
]

make_first_calls()
