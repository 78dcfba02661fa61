"""The scalar bijections that the tests of scalars go through, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward import scalar
from pushforward.scalar import ScalarBijection

Makers = dict[str, Callable[[], ScalarBijection]]

REALS: Makers = {
    "Additive": scalar.Additive,
    "Affine": scalar.Affine,
    "Scaling": scalar.Scaling,
    "LearnedBoundAffine": scalar.LearnedBoundAffine,
    "MixtureCDF logistic": lambda: scalar.MixtureCDF("logistic", 4),
    "MixtureCDF gaussian": lambda: scalar.MixtureCDF("gaussian", 4),
    "PerturbedAffine": scalar.PerturbedAffine,
    "OddPolynomial": lambda: scalar.OddPolynomial(5),
    "OddPolynomial 9": lambda: scalar.OddPolynomial(9),
    "DeepSigmoidal": lambda: scalar.DeepSigmoidal(4, 2),
    "DeepDenseSigmoidal": lambda: scalar.DeepDenseSigmoidal(4, 3, 3),
    "IntegralNetwork": lambda: scalar.IntegralNetwork(4),
    "ConicalCombination": lambda: scalar.ConicalCombination(
        scalar.Affine(), scalar.LeakyReLU(0.3), scalar.MixtureCDF("logistic", 3)
    ),
    "Composition": lambda: scalar.Composition(scalar.PerturbedAffine(), scalar.MixtureCDF("gaussian", 3)),
    "LeakyReLU": scalar.LeakyReLU,
    "LinearSpline": scalar.LinearSpline,
    "QuadraticSpline": scalar.QuadraticSpline,
    "CubicSpline": scalar.CubicSpline,
    "RationalQuadraticSpline": scalar.RationalQuadraticSpline,
}
ONTO: Makers = {
    "LogisticMixtureCDF": lambda: scalar.LogisticMixtureCDF(4),
    "GaussianMixtureCDF": lambda: scalar.GaussianMixtureCDF(4),
    "Sigmoid": scalar.Sigmoid,
    "Exp": scalar.Exp,
    "Softplus": scalar.Softplus,
    "Tanh": scalar.Tanh,
}
PERIODIC: Makers = {
    "CircularRationalQuadraticSpline": scalar.CircularRationalQuadraticSpline,
    "Moebius": scalar.Moebius,
    "NonCompactProjection": scalar.NonCompactProjection,
    "Rotation": scalar.Rotation,
    "Centred": lambda: scalar.Centred(scalar.CircularRationalQuadraticSpline(4), scalar.Moebius()),
    "ConvexCombination": lambda: scalar.ConvexCombination(scalar.Moebius(), copies=4),
    "ConvexCombination of several": lambda: scalar.ConvexCombination(
        scalar.NonCompactProjection(),
        scalar.Centred(scalar.Rotation(), scalar.CircularRationalQuadraticSpline(4)),
        copies=2,
    ),
}
FROM: Makers = {"Logit": scalar.Logit}
ALL = REALS | ONTO | PERIODIC
SMOOTH = ALL | FROM
NUMERICAL: Makers = {
    "MixtureCDF logistic": lambda: scalar.MixtureCDF("logistic", 4),
    "MixtureCDF gaussian": lambda: scalar.MixtureCDF("gaussian", 4),
    "LogisticMixtureCDF": lambda: scalar.LogisticMixtureCDF(4),
    "GaussianMixtureCDF": lambda: scalar.GaussianMixtureCDF(4),
    "DeepSigmoidal": scalar.DeepSigmoidal,
    "DeepDenseSigmoidal": lambda: scalar.DeepDenseSigmoidal(4, 3, 3),
    "IntegralNetwork": lambda: scalar.IntegralNetwork(4),
    "OddPolynomial": scalar.OddPolynomial,
    "OddPolynomial 9": lambda: scalar.OddPolynomial(9),
    "PerturbedAffine": scalar.PerturbedAffine,
    "CubicSpline": scalar.CubicSpline,
    "ConicalCombination": lambda: scalar.ConicalCombination(
        scalar.Affine(), scalar.LeakyReLU(0.3), scalar.MixtureCDF("logistic", 3)
    ),
    "ConvexCombination": lambda: scalar.ConvexCombination(scalar.Moebius(), copies=4),
    "Composition": lambda: scalar.Composition(scalar.Affine(), scalar.MixtureCDF("logistic", 4)),
}


def arguments(bijection: ScalarBijection, rows: int, dtype: torch.dtype, factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """Numbers of the bijection's domain, and parameters."""
    x = torch.randn(rows, dtype=dtype).clamp(-3, 3)
    if isinstance(bijection, scalar.Logit):
        x = torch.sigmoid(x)
    return x, factor * torch.randn(rows, bijection.num_parameters, dtype=dtype)
