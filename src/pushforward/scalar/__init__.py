"""Scalar bijections: what happens to one number, given parameters."""

from pushforward.first_calls import make_first_calls
from pushforward.scalar.affine import Additive, Affine, LearnedBoundAffine, Scaling
from pushforward.scalar.bijection import ScalarBijection
from pushforward.scalar.combination import Composition, ConicalCombination
from pushforward.scalar.elementary import Exp, LeakyReLU, Logit, Sigmoid, Softplus, Tanh
from pushforward.scalar.integral import IntegralNetwork
from pushforward.scalar.mixture_cdf import GaussianMixtureCDF, LogisticMixtureCDF, MixtureCDF
from pushforward.scalar.modular import ModularAffine
from pushforward.scalar.monotone_network import DeepDenseSigmoidal, DeepSigmoidal
from pushforward.scalar.perturbation import PerturbedAffine
from pushforward.scalar.polynomial import OddPolynomial
from pushforward.scalar.rounded_shift import CyclicShift, RoundedShift
from pushforward.scalar.spline_cubic import CubicSpline
from pushforward.scalar.spline_linear import LinearSpline
from pushforward.scalar.spline_quadratic import QuadraticSpline
from pushforward.scalar.spline_rational_quadratic import CircularRationalQuadraticSpline, RationalQuadraticSpline

__all__ = [
    "ModularAffine",
    "CyclicShift",
    "RoundedShift",
    "Additive",
    "Affine",
    "CircularRationalQuadraticSpline",
    "Composition",
    "ConicalCombination",
    "CubicSpline",
    "DeepDenseSigmoidal",
    "DeepSigmoidal",
    "Exp",
    "GaussianMixtureCDF",
    "IntegralNetwork",
    "LeakyReLU",
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
    "Tanh",
]

make_first_calls()
