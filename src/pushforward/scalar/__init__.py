"""Scalar bijections: what happens to one number, given parameters."""

from pushforward.scalar.affine import Additive, Affine, LearnedBoundAffine
from pushforward.scalar.bijection import ScalarBijection
from pushforward.scalar.spline_rational_quadratic import CircularRationalQuadraticSpline, RationalQuadraticSpline

__all__ = [
    "Additive",
    "Affine",
    "CircularRationalQuadraticSpline",
    "LearnedBoundAffine",
    "RationalQuadraticSpline",
    "ScalarBijection",
]
