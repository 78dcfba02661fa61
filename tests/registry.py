"""Every public part with a way to make it and events to check it on. A part that is not listed fails the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pushforward import distributions, networks, scalar, transforms
from pushforward.distributions import Distribution
from pushforward.networks import MADE, MLP, ResidualMADE
from pushforward.scalar import Affine, ScalarBijection
from pushforward.transforms import Transform, masks

SMALL = partial(MLP, hidden=(8,))
SMALL_CONVOLUTIONAL = partial(networks.GatedConvNet, hidden=4, blocks=1)
SMALL_MADE = partial(MADE, hidden=(8, 8))


@dataclass
class Case:
    """A transform and events of its domain: ``x`` has one batch dimension of at least 4."""

    make: Callable[[], Transform]
    x: Tensor
    context: Tensor | None = None


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3))


def integers(levels: int, *shape: int) -> Tensor:
    return torch.randint(levels, shape, generator=torch.Generator().manual_seed(3))


def plane_coupling(context: int = 0) -> Transform:
    return transforms.Coupling(masks.checkerboard((1, 4, 4)), Affine(), SMALL_CONVOLUTIONAL, context)


VECTORS = normal(6, 5)
CONTEXT = normal(6, 2)
IMAGES = normal(4, 4, 4, 4)

# Scalar bijections: how to make one, and numbers of its domain.
SCALARS: dict[str, tuple[Callable[[], ScalarBijection], Tensor]] = {
    "Additive": (scalar.Additive, normal(8)),
    "Affine": (Affine, normal(8)),
    "LearnedBoundAffine": (scalar.LearnedBoundAffine, normal(8)),
    "Scaling": (scalar.Scaling, normal(8)),
    "RationalQuadraticSpline": (scalar.RationalQuadraticSpline, 3 * normal(8)),
    "CircularRationalQuadraticSpline": (scalar.CircularRationalQuadraticSpline, uniform(8) * 6 - 3),
    "LogisticMixtureCDF": (scalar.LogisticMixtureCDF, normal(8)),
    "GaussianMixtureCDF": (scalar.GaussianMixtureCDF, normal(8)),
    "MixtureCDF/logistic": (scalar.MixtureCDF, normal(8)),
    "MixtureCDF/gaussian": (lambda: scalar.MixtureCDF("gaussian"), normal(8)),
    "Sigmoid": (scalar.Sigmoid, normal(8)),
    "Logit": (scalar.Logit, uniform(8)),
    "Exp": (scalar.Exp, normal(8)),
    "Softplus": (scalar.Softplus, normal(8)),
    "Tanh": (scalar.Tanh, normal(8)),
    "LeakyReLU": (scalar.LeakyReLU, normal(8)),
    "PerturbedAffine": (scalar.PerturbedAffine, normal(8)),
    "OddPolynomial": (scalar.OddPolynomial, normal(8)),
    "DeepSigmoidal": (scalar.DeepSigmoidal, normal(8)),
    "DeepDenseSigmoidal": (scalar.DeepDenseSigmoidal, normal(8)),
    "IntegralNetwork": (scalar.IntegralNetwork, 3 * normal(8)),
    "Composition": (lambda: scalar.Composition(Affine(), scalar.MixtureCDF()), normal(8)),
    "ConicalCombination": (lambda: scalar.ConicalCombination(Affine(), scalar.LeakyReLU()), normal(8)),
    "RoundedShift": (scalar.RoundedShift, integers(17, 8).float()),
    "LinearSpline": (scalar.LinearSpline, 3 * normal(8)),
    "QuadraticSpline": (scalar.QuadraticSpline, 3 * normal(8)),
    "CubicSpline": (scalar.CubicSpline, 3 * normal(8)),
}

TRANSFORMS: dict[str, Case] = {
    "Coupling/halves": Case(lambda: transforms.Coupling(masks.halves(5), Affine(), SMALL), VECTORS),
    "Coupling/alternating": Case(
        lambda: transforms.Coupling(masks.alternating(5), Affine(), SMALL, 2), VECTORS, CONTEXT
    ),
    "Coupling/learned bound": Case(
        lambda: transforms.Coupling(~masks.halves(5), scalar.LearnedBoundAffine(), SMALL), VECTORS
    ),
    "Autoregressive": Case(lambda: transforms.Autoregressive(5, Affine(), SMALL_MADE, order=[4, 0, 2, 1, 3]), VECTORS),
    "Autoregressive/context": Case(
        lambda: transforms.Autoregressive(5, scalar.LearnedBoundAffine(), SMALL_MADE, 2), VECTORS, CONTEXT
    ),
    "Autoregressive/residual": Case(
        lambda: transforms.Autoregressive(5, scalar.RationalQuadraticSpline(), partial(ResidualMADE, hidden=8)), VECTORS
    ),
    "Autoregressive/inverse": Case(
        lambda: transforms.Inverse(transforms.Autoregressive(5, Affine(), SMALL_MADE, 2)), VECTORS, CONTEXT
    ),
    "Triangular/lower": Case(lambda: transforms.Triangular(5), VECTORS),
    "Triangular/upper": Case(lambda: transforms.Triangular(5, upper=True), VECTORS),
    "Householder": Case(lambda: transforms.Householder(5, 3), VECTORS),
    "MatrixExponential": Case(lambda: transforms.MatrixExponential(5), VECTORS),
    "Chain/lu": Case(lambda: transforms.lu(5), VECTORS),
    "Chain/qr": Case(lambda: transforms.qr(5), VECTORS),
    "Elementwise/diagonal": Case(lambda: transforms.diagonal(5), VECTORS),
    "Planar": Case(lambda: transforms.Planar(5), VECTORS),
    "Planar/context": Case(lambda: transforms.Planar(5, SMALL, 2), VECTORS, CONTEXT),
    "Radial": Case(lambda: transforms.Radial(5), VECTORS),
    "Radial/context": Case(lambda: transforms.Radial(5, SMALL, 2), VECTORS, CONTEXT),
    "Sylvester": Case(lambda: transforms.Sylvester(5), VECTORS),
    "Sylvester/context": Case(lambda: transforms.Sylvester(5, 3, 2, SMALL, 2), VECTORS, CONTEXT),
    "Elementwise": Case(lambda: transforms.Elementwise(Affine(), (5,)), VECTORS),
    "ConditionalElementwise": Case(
        lambda: transforms.ConditionalElementwise(Affine(), 5, SMALL, context=2), VECTORS, CONTEXT
    ),
    "Chain": Case(
        lambda: transforms.Chain([transforms.flip(5), transforms.Coupling(masks.halves(5), Affine(), SMALL)]), VECTORS
    ),
    "Inverse": Case(
        lambda: transforms.Inverse(transforms.Coupling(masks.halves(5), Affine(), SMALL, 2)), VECTORS, CONTEXT
    ),
    "Permutation": Case(lambda: transforms.random_permutation(5), VECTORS),
    "Permutation/channels": Case(lambda: transforms.flip(4, event_dims=3), IMAGES),
    "Squeeze": Case(transforms.Squeeze, IMAGES),
    "ActNorm": Case(lambda: transforms.ActNorm(5), VECTORS),
    "ActNorm/channels": Case(lambda: transforms.ActNorm(4, event_dims=3), IMAGES),
    "BatchNorm": Case(lambda: transforms.BatchNorm(5), VECTORS),
    "BatchNorm/channels": Case(lambda: transforms.BatchNorm(4, event_dims=3), IMAGES),
    "InvertibleConvolution": Case(lambda: transforms.InvertibleConvolution(4), IMAGES),
    "InvertibleConvolutionLU": Case(lambda: transforms.InvertibleConvolutionLU(4), IMAGES),
    "Logit": Case(lambda: transforms.Logit(1e-5, event_dims=1), uniform(6, 5)),
    "Integers": Case(lambda: transforms.Integers(17), integers(17, 6, 5).float()),
    "Interlace": Case(lambda: transforms.Interlace((4, 4, 4)), IMAGES),
    "Multipartite": Case(
        lambda: transforms.Multipartite(
            (5,), (2, 1, 2), (Affine(), None, Affine()), SMALL, 2, (None, Affine(), scalar.LeakyReLU())
        ),
        VECTORS,
        CONTEXT,
    ),
    "Multipartite/two": Case(lambda: transforms.bipartite((5,), Affine(), SMALL, kept=0.75), VECTORS),
    "Multipartite/four": Case(
        lambda: transforms.quadripartite((4, 4, 4), scalar.RoundedShift(), partial(networks.DenseNet, hidden=4)),
        integers(17, 4, 4, 4, 4).float(),
    ),
    "Dequantization": Case(lambda: transforms.Dequantization(17), integers(17, 4, 1, 4, 4)),
    "VariationalDequantization": Case(
        lambda: transforms.VariationalDequantization(17, plane_coupling(1)), integers(17, 4, 1, 4, 4)
    ),
    "Coupling/checkerboard": Case(plane_coupling, normal(4, 1, 4, 4)),
    "Coupling/channels and context": Case(
        lambda: transforms.Coupling(masks.channel((4, 4, 4)), Affine(), SMALL_CONVOLUTIONAL, 2), IMAGES, CONTEXT[:4]
    ),
}

DISTRIBUTIONS: dict[str, tuple[Callable[[], Distribution], Tensor | None]] = {
    "Beta": (lambda: distributions.Beta((3,), 2.0, 3.0), None),
    "ConditionalGaussianMixture": (
        lambda: distributions.ConditionalGaussianMixture((3,), SMALL, context=2, components=4),
        CONTEXT,
    ),
    "DiagonalNormal": (lambda: distributions.DiagonalNormal((3,)), None),
    "FullNormal": (lambda: distributions.FullNormal((3,)), None),
    "GaussianMixture": (lambda: distributions.GaussianMixture((3,), 4), None),
    "LearnedStudentT": (lambda: distributions.LearnedStudentT((3,)), None),
    "StandardLogistic": (lambda: distributions.StandardLogistic((3,)), None),
    "StudentT": (lambda: distributions.StudentT((3,), 4.0), None),
    "Uniform": (lambda: distributions.Uniform((3,)), None),
    "AutoregressiveDistribution": (
        lambda: distributions.AutoregressiveDistribution(3, distributions.CategoricalMass(4), SMALL_MADE),
        None,
    ),
    "BinaryMADE": (lambda: distributions.BinaryMADE(3, SMALL_MADE, 2), CONTEXT),
    "RNADE": (lambda: distributions.RNADE(3, 2, SMALL_MADE, 2, [2, 0, 1]), CONTEXT),
    "AutoregressiveCategorical": (lambda: distributions.AutoregressiveCategorical(3, 4, 2, hidden=(8,)), CONTEXT),
    "Categorical": (lambda: distributions.Categorical((3,), 4), None),
    "Discrete": (lambda: distributions.Discrete(distributions.CategoricalMass(4), (1, 2, 2)), None),
    "DiscretizedLogistic": (lambda: distributions.DiscretizedLogistic((3,), 4, unit=10.0), None),
    "FromOneHot": (lambda: distributions.FromOneHot(distributions.OneHotCategorical(3, 4)), None),
    "GroupedDiscrete": (
        lambda: distributions.GroupedDiscrete(
            distributions.DiscretizedLogisticMixture(2), (3, 2, 2), (1, 2), partial(networks.DenseNet, hidden=4), 4
        ),
        IMAGES[..., :2, :2],
    ),
    "OneHotAutoregressiveCategorical": (
        lambda: distributions.OneHotAutoregressiveCategorical(3, 4, hidden=(8,), order=(2, 0, 1)),
        None,
    ),
    "OneHotCategorical": (lambda: distributions.OneHotCategorical(3, 4), None),
    "StandardNormal": (lambda: distributions.StandardNormal((3,)), None),
    "ConditionalNormal": (lambda: distributions.ConditionalNormal((3,), SMALL, context=2), CONTEXT),
}

# Networks: factories called as network(4, 8, context), on vectors of 4 features or images of 4 channels.
VECTOR_NETWORKS: dict[str, Callable[..., torch.nn.Module]] = {
    "DenseMLP": networks.DenseMLP,
    "MADE": networks.MADE,
    "MLP": networks.MLP,
    "ResidualMADE": networks.ResidualMADE,
}
IMAGE_NETWORKS: dict[str, Callable[..., torch.nn.Module]] = {
    "AttentionConvNet": partial(networks.AttentionConvNet, hidden=8),
    "DenseNet": networks.DenseNet,
    "GatedConvNet": partial(networks.GatedConvNet, hidden=8),
    "GlowConvNet": partial(networks.GlowConvNet, hidden=8),
}
# What wraps or prepares a network; tested where it is used.
NETWORK_HELPERS = {"OneHotMADE", "ReZero", "masked_channels"}
NETWORKS = {**VECTOR_NETWORKS, **IMAGE_NETWORKS, **dict.fromkeys(NETWORK_HELPERS)}

# Names in __all__ that are no part of their own: bases, helpers and modules.
ABSTRACT = {
    "Conditional",
    "MassFunction",
    "ScalarBijection",
    "Transform",
    "Bijection",
    "Distribution",
    "NetworkFactory",
    "MaskedNetwork",
}
HELPERS = {
    "BernoulliMass",
    "CategoricalMass",
    "DiscretizedLogisticMixture",
    "bipartite",
    "multipartite",
    "quadripartite",
    "GaussianMixtureConditional",
    "diagonal",
    "lu",
    "qr",
    "masks",
    "flip",
    "random_permutation",
}
# Maps of categories and on a circle have no Jacobian and no order; test_discrete.py has their laws.
HELPERS |= {"CategoricalEncoding", "CyclicShift", "ModularAffine", "OneHotAutoregressive"}
