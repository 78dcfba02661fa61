"""Scalar bijections: what happens to one number, given parameters."""

from pushforward.scalar.affine import Additive, Affine, LearnedBoundAffine
from pushforward.scalar.bijection import ScalarBijection

__all__ = ["Additive", "Affine", "LearnedBoundAffine", "ScalarBijection"]
