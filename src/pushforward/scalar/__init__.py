"""Scalar bijections: what happens to one number, given parameters."""

from pushforward.scalar.affine import Additive, Affine, LearnedBoundAffine, Scaling
from pushforward.scalar.bijection import ScalarBijection
from pushforward.scalar.mixture_cdf import GaussianMixtureCDF, LogisticMixtureCDF, MixtureCDF
from pushforward.scalar.spline_rational_quadratic import CircularRationalQuadraticSpline, RationalQuadraticSpline

__all__ = [
    "Additive",
    "Affine",
    "CircularRationalQuadraticSpline",
    "GaussianMixtureCDF",
    "LearnedBoundAffine",
    "LogisticMixtureCDF",
    "MixtureCDF",
    "RationalQuadraticSpline",
    "ScalarBijection",
    "Scaling",
]
