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
from pushforward.spaces import Categories, Circle, Product, Reals, Sphere
from pushforward.testing import randomise
from pushforward.transforms import Transform, masks

SMALL = partial(MLP, hidden=(8,))
SMALL_CONVOLUTIONAL = partial(networks.GatedConvNet, hidden=4, blocks=1)
SMALL_MADE = partial(MADE, hidden=(8, 8))
SMALL_TRANSFORMER = partial(networks.CausalTransformer, hidden=8, blocks=1, heads=2)


@dataclass
class Case:
    """A transform and events of its domain: ``x`` has one batch dimension of at least 4. ``without`` names the laws
    that another case shows already."""

    make: Callable[[], Transform]
    x: Tensor
    context: Tensor | None = None
    without: tuple[str, ...] = ()


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3))


def integers(levels: int, *shape: int) -> Tensor:
    return torch.randint(levels, shape, generator=torch.Generator().manual_seed(3))


def plane_coupling(context: int | tuple[int, ...] = 0) -> Transform:
    return transforms.Coupling(masks.checkerboard((1, 4, 4)), Affine(), SMALL_CONVOLUTIONAL, context)


def started(transform: Transform, x: Tensor) -> Transform:
    """What starts from data, started."""
    transform.initialise(2 + 3 * x)
    return transform


def moving(transform: Transform) -> Transform:
    """What starts as the identity, whose log-determinant no noise moves, away from it."""
    return randomise(transform, 0.5, torch.Generator().manual_seed(3))


def one_hot(classes: int, *shape: int) -> Tensor:
    return torch.nn.functional.one_hot(integers(classes, *shape), classes).float()


VECTORS = normal(6, 5)
PAIRS = normal(6, 2)
CONTEXT = normal(6, 2)
IMAGES = normal(4, 4, 4, 4)

# Scalar bijections: how to make one, and numbers of its domain.
SCALARS: dict[str, tuple[Callable[[], ScalarBijection], Tensor]] = {
    "Additive": (scalar.Additive, normal(8)),
    "Affine": (Affine, normal(8)),
    "GatedAffine": (scalar.GatedAffine, normal(8)),
    "LearnedBoundAffine": (scalar.LearnedBoundAffine, normal(8)),
    "Scaling": (scalar.Scaling, normal(8)),
    "RationalQuadraticSpline": (scalar.RationalQuadraticSpline, 3 * normal(8)),
    "CircularRationalQuadraticSpline": (scalar.CircularRationalQuadraticSpline, uniform(8) * 6 - 3),
    "Moebius": (scalar.Moebius, uniform(8) * 6 - 3),
    "NonCompactProjection": (scalar.NonCompactProjection, uniform(8) * 6 - 3),
    "Rotation": (scalar.Rotation, uniform(8) * 6 - 3),
    "ConvexCombination": (lambda: scalar.ConvexCombination(scalar.Moebius(), copies=4), uniform(8) * 6 - 3),
    "ConvexCombination/all kinds": (
        lambda: scalar.ConvexCombination(
            scalar.Moebius(),
            scalar.NonCompactProjection(),
            scalar.Centred(scalar.CircularRationalQuadraticSpline(4)),
            copies=2,
        ),
        uniform(8) * 6 - 3,
    ),
    "Composition/circles": (
        lambda: scalar.Composition(
            scalar.ConvexCombination(scalar.NonCompactProjection(), copies=3),
            scalar.Rotation(),
            scalar.CircularRationalQuadraticSpline(4),
            scalar.Moebius(),
        ),
        uniform(8) * 6 - 3,
    ),
    "Centred": (
        lambda: scalar.Centred(scalar.CircularRationalQuadraticSpline(4), scalar.Moebius()),
        uniform(8) * 6 - 3,
    ),
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
    "CyclicShift": (lambda: scalar.CyclicShift(17), integers(17, 8).float()),
    "DiscretizedLogisticCDF": (scalar.DiscretizedLogisticCDF, uniform(8)),
    "HistogramCDF": (scalar.HistogramCDF, uniform(8)),
    "LinearSpline": (scalar.LinearSpline, 3 * normal(8)),
    "QuadraticSpline": (scalar.QuadraticSpline, 3 * normal(8)),
    "CubicSpline": (scalar.CubicSpline, 3 * normal(8)),
    "TailTransform": (scalar.TailTransform, 30 * normal(8) ** 3),
}

# Laws that a scalar bijection is known not to obey.
SCALARS_WITHOUT = {"CyclicShift": ("increasing",)}

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
    "Autoregressive/pixels": Case(
        lambda: transforms.Autoregressive(
            8,
            Affine(),
            partial(networks.RasterNetwork, plane=(2, 2), network=partial(networks.GatedPixelCNN, hidden=4, layers=2)),
            2,
        ),
        normal(6, 8),
        CONTEXT,
    ),
    "Autoregressive/dilated": Case(
        lambda: transforms.Autoregressive(5, Affine(), partial(networks.WaveNet, hidden=4, dilations=(1, 2)), 2),
        VECTORS,
        CONTEXT,
    ),
    "Autoregressive/residual": Case(
        lambda: transforms.Autoregressive(5, scalar.RationalQuadraticSpline(), partial(ResidualMADE, hidden=8)), VECTORS
    ),
    "Autoregressive/inverse": Case(
        lambda: transforms.Inverse(transforms.Autoregressive(5, Affine(), SMALL_MADE, 2)), VECTORS, CONTEXT
    ),
    "Autoregressive/transformer": Case(
        lambda: transforms.Autoregressive(6, Affine(), partial(SMALL_TRANSFORMER, token=2), 2, [5, 4, 3, 2, 1, 0]),
        normal(6, 6),
        CONTEXT,
    ),
    "Autoregressive/guided": Case(
        lambda: transforms.Autoregressive(
            4, Affine(), networks.Guided(SMALL_TRANSFORMER(4, 8, 2), torch.tensor([1.0, -1.0]), 0.5), 2
        ),
        normal(6, 4),
        CONTEXT,
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
    "Mint": Case(lambda: transforms.Mint((5,), 4), VECTORS),
    "Mint/context": Case(lambda: transforms.Mint((5,), 4, reverse=True, network=SMALL, context=2), VECTORS, CONTEXT),
    "Mint/images": Case(lambda: transforms.Mint((4, 4, 4), 3), IMAGES),
    "Mint/images reversed": Case(
        lambda: transforms.Mint((2, 4, 3), 2, reverse=True, network=SMALL_CONVOLUTIONAL, context=(1, 2, 3)),
        normal(4, 2, 4, 3),
        normal(4, 1, 2, 3),
        without=("graph",),
    ),
    "Radial": Case(lambda: transforms.Radial(5), VECTORS),
    "Radial/context": Case(lambda: transforms.Radial(5, SMALL, 2), VECTORS, CONTEXT),
    "Sylvester": Case(lambda: transforms.Sylvester(5), VECTORS),
    "Sylvester/context": Case(
        lambda: transforms.Sylvester(5, 3, transforms.HouseholderBasis(2), SMALL, 2), VECTORS, CONTEXT
    ),
    "Sylvester/orthogonal": Case(
        lambda: transforms.Sylvester(5, 3, transforms.OrthogonalBasis(first=4), SMALL, 2), VECTORS, CONTEXT
    ),
    "Sylvester/triangular": Case(
        lambda: transforms.Sylvester(3, None, transforms.PermutationBasis(backwards=True), SMALL, 2),
        normal(6, 3),
        CONTEXT,
    ),
    "EachFrame": Case(
        lambda: transforms.EachFrame(transforms.Coupling(masks.channel((4, 4, 4)), Affine(), SMALL_CONVOLUTIONAL), 3),
        normal(4, 3, 4, 4, 4),
    ),
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
    "Patches": Case(lambda: transforms.Patches((4, 4, 4), 2), IMAGES),
    "Flatten": Case(lambda: transforms.Flatten((4, 4)), normal(6, 4, 4)),
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
    "GaussianDequantization": Case(lambda: transforms.GaussianDequantization(17, 0.2), integers(17, 4, 1, 4, 4)),
    "VariationalDequantization": Case(
        lambda: transforms.VariationalDequantization(17, plane_coupling((1, 4, 4))), integers(17, 4, 1, 4, 4)
    ),
    "Coupling/checkerboard": Case(plane_coupling, normal(4, 1, 4, 4)),
    "Coupling/channels and context": Case(
        lambda: transforms.Coupling(masks.channel((4, 4, 4)), Affine(), SMALL_CONVOLUTIONAL, 2), IMAGES, CONTEXT[:4]
    ),
}

# A velocity times 200 needs more steps than a test has time for; tests/test_continuous.py checks what is allowed.
STIFF = ("extremes",)
# What one continuous flow shows of all.
SOLVED = (
    *STIFF,
    *("shapes", "spaces", "dtypes", "draws", "accuracy", "independence", "context", "context_matters"),
    *("state", "pickle", "memory", "saving"),
)
# Log-determinants are compared with autograd's to 1e-6.
ACCURATE = transforms.DormandPrince(1e-6)
SMALL_VELOCITY = partial(networks.VelocityMLP, hidden=(8,), frequencies=2)
SMALL_IMAGE_VELOCITY = partial(networks.ConcatSquashConvNet, hidden=5)

# What the same class shows in more dimensions.
SHOWN = ("graph",)
HOURS = Circle((), 0.0, 24.0)
MIXED = Product(Reals((2,)), Circle((1,), -3.0, 3.0))

TRANSFORMS |= {
    # On two dimensions, where the mass is summed too.
    "Coupling/plane": Case(lambda: transforms.Coupling(masks.halves(2), Affine(), SMALL), PAIRS, without=SHOWN),
    "Coupling/splines": Case(
        lambda: transforms.Coupling(masks.halves(2), scalar.RationalQuadraticSpline(4), SMALL, 2),
        PAIRS,
        CONTEXT,
        without=SHOWN,
    ),
    "Coupling/circles": Case(
        lambda: transforms.Coupling(masks.halves(2), scalar.CircularRationalQuadraticSpline(4), SMALL),
        3 * (2 * uniform(6, 2) - 1),
    ),
    "Coupling/reals that see an angle": Case(
        lambda: transforms.Coupling(torch.tensor([True, False, True]), Affine(), SMALL, space=MIXED),
        torch.cat([normal(6, 2), 3 * (2 * uniform(6, 1) - 1)], -1),
        without=SHOWN,
    ),
    "Coupling/angle that sees reals": Case(
        lambda: transforms.Coupling(
            torch.tensor([True, True, False]), scalar.CircularRationalQuadraticSpline(4, 3.0), SMALL, space=MIXED
        ),
        torch.cat([normal(6, 2), 3 * (2 * uniform(6, 1) - 1)], -1),
        without=SHOWN,
    ),
    "Coupling/context on a circle": Case(
        lambda: transforms.Coupling(masks.halves(2), Affine(), SMALL, HOURS.with_shape((1,))),
        PAIRS,
        24 * uniform(6, 1),
        without=SHOWN,
    ),
    "Coupling/context of categories": Case(
        lambda: transforms.Coupling(masks.halves(2), Affine(), SMALL, Categories(4, (1,))),
        PAIRS,
        torch.tensor([0.0, 1, 2, 3, 0, 1])[:, None],
        without=SHOWN,
    ),
    "Coupling/integers": Case(
        lambda: transforms.Coupling(masks.halves(2), scalar.CyclicShift(5), SMALL),
        integers(5, 6, 2).float(),
        without=SHOWN,
    ),
    "Autoregressive/plane": Case(
        lambda: transforms.Autoregressive(2, Affine(), SMALL_MADE, 2), PAIRS, CONTEXT, without=SHOWN
    ),
    "Autoregressive/circles": Case(
        lambda: transforms.Autoregressive(
            2, scalar.CircularRationalQuadraticSpline(4), SMALL_MADE, HOURS.with_shape((1,)), order=[1, 0]
        ),
        3 * (2 * uniform(6, 2) - 1),
        24 * uniform(6, 1),
    ),
    "Autoregressive/moebius maps": Case(
        lambda: transforms.Autoregressive(2, scalar.ConvexCombination(scalar.Moebius(), copies=3), SMALL_MADE),
        3 * (2 * uniform(6, 2) - 1),
        without=SHOWN,
    ),
    "Coupling/moebius maps": Case(
        lambda: transforms.Coupling(masks.halves(2), scalar.ConvexCombination(scalar.Moebius(), copies=3), SMALL),
        3 * (2 * uniform(6, 2) - 1),
        without=SHOWN,
    ),
    "Radians": Case(
        lambda: transforms.Radians(Product(Circle((1,), 0.0, 24.0), Circle((1,), -180.0, 180.0))),
        torch.tensor([24.0, 360.0]) * uniform(6, 2) - torch.tensor([0.0, 180.0]),
    ),
    "Autoregressive/integers": Case(
        lambda: transforms.Autoregressive(3, scalar.CyclicShift(5), SMALL_MADE),
        integers(5, 6, 3).float(),
        without=SHOWN,
    ),
    "OneHotAutoregressive": Case(
        lambda: transforms.OneHotAutoregressive(3, scalar.ModularAffine(4), 2, hidden=(8,)), one_hot(4, 6, 3), CONTEXT
    ),
    "Augmentation": Case(lambda: transforms.Augmentation(2, 1, 0.5), PAIRS),
    "Blocks": Case(
        lambda: transforms.Blocks(transforms.Elementwise(Affine(), (2,)), transforms.Triangular(3)), VECTORS
    ),
    "Repeated": Case(lambda: transforms.Repeated(transforms.Triangular(2), 3), normal(6, 6)),
    "CategoricalEncoding": Case(lambda: transforms.CategoricalEncoding(2, 3), integers(3, 6, 2)),
    "Dequantization/vectors": Case(lambda: transforms.Dequantization(3, event_dims=1), integers(3, 6, 2)),
    "Inverse/dequantization": Case(
        lambda: transforms.Inverse(transforms.Dequantization(3, event_dims=1)), uniform(6, 2)
    ),
    "Standardise": Case(lambda: started(transforms.Standardise(5), VECTORS), VECTORS),
    "Standardise/channels": Case(
        lambda: started(transforms.Standardise(4, event_dims=3), IMAGES), IMAGES, without=SHOWN
    ),
    "ActNorm/started": Case(lambda: started(transforms.ActNorm(2), PAIRS), PAIRS, without=SHOWN),
    "Planar/plane": Case(lambda: transforms.Planar(2), PAIRS, without=SHOWN),
    "Mint/plane": Case(lambda: transforms.Mint((2,), 4), PAIRS, without=SHOWN),
    "Radial/plane": Case(lambda: transforms.Radial(2), PAIRS, without=SHOWN),
    "Sylvester/plane": Case(lambda: transforms.Sylvester(2), PAIRS, without=SHOWN),
    "ConditionalElementwise/plane": Case(
        lambda: transforms.ConditionalElementwise(scalar.RationalQuadraticSpline(4), 2, SMALL, context=2),
        PAIRS,
        CONTEXT,
        without=SHOWN,
    ),
    "Chain/recompute": Case(
        lambda: transforms.Chain(
            [transforms.flip(5), transforms.Coupling(masks.halves(5), Affine(), SMALL, 2)], recompute=True
        ),
        VECTORS,
        CONTEXT,
    ),
    "Chain/mixed contexts": Case(
        lambda: transforms.Chain(
            [transforms.lu(2), transforms.Autoregressive(2, Affine(), SMALL_MADE, 2), transforms.flip(2)]
        ),
        PAIRS,
        CONTEXT,
    ),
    "Continuous": Case(
        lambda: transforms.Continuous(SMALL_VELOCITY, 3, ACCURATE, context=2), normal(6, 3), CONTEXT, STIFF
    ),
    "Continuous/plane": Case(
        lambda: transforms.Continuous(partial(networks.ConcatSquashMLP, hidden=8), 2, ACCURATE), PAIRS, without=SOLVED
    ),
    "Continuous/images": Case(
        lambda: transforms.Continuous(SMALL_IMAGE_VELOCITY, (1, 2, 2), ACCURATE, context=2),
        normal(4, 1, 2, 2),
        CONTEXT[:4],
        without=(*sorted(set(SOLVED) - {"context_matters"}), "values"),
    ),
    "Continuous/estimate": Case(
        lambda: moving(transforms.Continuous(SMALL_VELOCITY, 3, ACCURATE, transforms.Hutchinson())),
        normal(6, 3),
        without=STIFF,
    ),
    "Continuous/gaussian estimate": Case(
        lambda: moving(transforms.Continuous(SMALL_VELOCITY, 3, ACCURATE, transforms.Hutchinson("gaussian"))),
        normal(6, 3),
        without=(*SOLVED, "inverse", "values", "gradients"),
    ),
    "Logit/plane": Case(lambda: transforms.Logit(0.05, event_dims=1), uniform(6, 2), without=SHOWN),
}

TRANSFORMS |= {
    "ExtremeValueTails": Case(
        lambda: transforms.ExtremeValueTails(3, [0.5, 2.0, float("inf")]), 30 * normal(6, 3) ** 3, without=SHOWN
    ),
    "ExtremeValueTails/plane": Case(lambda: transforms.ExtremeValueTails(2), PAIRS, without=SHOWN),
    "NormalScores": Case(lambda: started(transforms.NormalScores(3, 8), normal(40, 3)), normal(6, 3)),
    "NormalScores/plane": Case(lambda: started(transforms.NormalScores(2, 8), normal(40, 2)), PAIRS, without=SHOWN),
    "TriangularRegression": Case(lambda: started(transforms.TriangularRegression(5), VECTORS), VECTORS),
    "TriangularRegression/plane": Case(
        lambda: started(transforms.TriangularRegression(2, [1.0, 3.0]), PAIRS), PAIRS, without=SHOWN
    ),
}

TRANSFORMS |= {
    "Piecewise": Case(lambda: transforms.Piecewise(5, 3, 1, SMALL, 2), VECTORS, CONTEXT),
    "Piecewise/line": Case(lambda: transforms.Piecewise(1, 4, 0, SMALL), normal(6, 1), without=SHOWN),
    "PlacedSpline": Case(lambda: started(transforms.PlacedSpline(3, 6), normal(40, 3)), normal(6, 3)),
    "PlacedSpline/plane": Case(lambda: started(transforms.PlacedSpline(2, 6), normal(40, 2)), PAIRS, without=SHOWN),
    "PlacedHinge": Case(lambda: started(transforms.PlacedHinge(3, 4), normal(40, 3)), normal(6, 3)),
    "PlacedHinge/plane": Case(lambda: started(transforms.PlacedHinge(2, 4), normal(40, 2)), PAIRS, without=SHOWN),
    "PlacedRadial": Case(lambda: started(transforms.PlacedRadial(3, 4), normal(40, 3)), normal(6, 3)),
    "PlacedRadial/plane": Case(lambda: started(transforms.PlacedRadial(2, 4), normal(40, 2)), PAIRS, without=SHOWN),
    "PrincipalAxes": Case(lambda: started(transforms.PrincipalAxes(3), normal(40, 3)), normal(6, 3)),
    "RandomRotation": Case(lambda: transforms.RandomRotation(3), normal(6, 3)),
    # Onto a part of the cube alone, so not every latent comes from somewhere; tests/test_forerunners.py goes there and
    # back from what does, and sums the mass. Its network, which reads codes off, has no part in the map.
    "SigmoidalDecoder": Case(
        lambda: transforms.SigmoidalDecoder(3, 2, 8), uniform(6, 3), without=("inverse", "extremes")
    ),
}

SMALL_LIPSCHITZ = partial(networks.LipschitzMLP, hidden=(8,))
ROULETTE = partial(transforms.RussianRoulette, exact_terms=2, evaluation_terms=4)

TRANSFORMS |= {
    "Contractive": Case(lambda: transforms.Contractive(SMALL_LIPSCHITZ, 5, context=2), VECTORS, CONTEXT),
    "Contractive/plane": Case(lambda: transforms.Contractive(SMALL_LIPSCHITZ, 2), PAIRS, without=SHOWN),
    "Contractive/roulette": Case(lambda: transforms.Contractive(SMALL_LIPSCHITZ, 5, ROULETTE()), VECTORS),
    "Contractive/Neumann": Case(
        lambda: transforms.Contractive(SMALL_LIPSCHITZ, 5, transforms.NeumannGradients(ROULETTE()), 2),
        VECTORS,
        CONTEXT,
    ),
    "Contractive/images": Case(
        lambda: transforms.Contractive(
            partial(networks.LipschitzConvNet, plane=(2, 2), hidden=4),
            (1, 2, 2),
            transforms.GradientsInForward(transforms.TruncatedSeries(3, 6, "gaussian")),
        ),
        IMAGES[:, :1, :2, :2],
        without=("gradients", "draws", "independence"),
    ),
}


def tilted(features: int, context: int = 0) -> torch.nn.Module:
    return transforms.TiltedNormal(features, SMALL, context)


TRANSFORMS |= {
    "Relaxation/langevin": Case(
        lambda: transforms.Relaxation(transforms.Langevin(2, tilted(2, 2), 0.03, 2), steps=3), PAIRS, CONTEXT
    ),
    "Relaxation/metropolis": Case(
        lambda: transforms.Relaxation(
            transforms.Metropolis(
                transforms.Langevin(1, transforms.Annealed(distributions.DiagonalNormal((1,)), tilted(1), 0.5), 0.1)
            ),
            steps=2,
        ),
        normal(6, 1),
    ),
    "Relaxation/hamiltonian": Case(
        lambda: transforms.Relaxation(transforms.Hamiltonian(2, tilted(2), 0.15, leaps=2, persistence=0.8), steps=2),
        PAIRS,
    ),
    "Relaxation/hamiltonian monte carlo": Case(
        lambda: transforms.Relaxation(
            transforms.Metropolis(transforms.Hamiltonian(5, tilted(5, 2), 0.3, context=2)), steps=2
        ),
        VECTORS,
        CONTEXT,
    ),
}

LINEAR = partial(MLP, hidden=())


def autoencoder(likelihood: Distribution, latents: int, context: int = 0) -> Transform:
    """A variational autoencoder of vectors, which sees a context of so many numbers."""
    given = (context,) if context else ()
    return transforms.VariationalEncoding(
        networks.DenseEncoder(likelihood.event_shape, 8, given),
        distributions.ConditionalNormal((latents,), LINEAR, 8),
        networks.DenseDecoder(latents, likelihood.context_shape or (), given, hidden=(8,)),
        likelihood,
        context,
    )


TRANSFORMS |= {
    "VariationalEncoding": Case(
        lambda: autoencoder(distributions.GivenParameters(distributions.BernoulliMass(), (3,)), 2, context=2),
        integers(2, 6, 3).float(),
        CONTEXT,
    ),
    "VariationalEncoding/plane": Case(
        lambda: autoencoder(distributions.GivenParameters(distributions.GaussianConditional(), (2,)), 1),
        PAIRS,
        without=SHOWN,
    ),
}


def on_sphere(count: int, n: int) -> Tensor:
    return torch.nn.functional.normalize(normal(count, n + 1), dim=-1)


TRANSFORMS |= {
    "RecursiveSphere": Case(lambda: transforms.RecursiveSphere(2, bins=6, network=SMALL), on_sphere(6, 2)),
    "RecursiveSphere/circle": Case(
        lambda: transforms.RecursiveSphere(1, bins=6, network=SMALL, context=2), on_sphere(6, 1), CONTEXT, SHOWN
    ),
    "RecursiveSphere/three": Case(
        lambda: transforms.RecursiveSphere(3, bins=4, network=SMALL, context=2), on_sphere(6, 3), CONTEXT, SHOWN
    ),
    "Rotation": Case(lambda: transforms.Rotation(2, SMALL, 2), on_sphere(6, 2), CONTEXT),
    "GeographicCoordinates": Case(
        transforms.GeographicCoordinates, torch.tensor([180.0, 360.0]) * (uniform(6, 2) - 0.5)
    ),
    "GeographicCoordinates/east": Case(
        lambda: transforms.GeographicCoordinates(0.0),
        torch.tensor([180.0, 360.0]) * uniform(6, 2) - torch.tensor([90.0, 0.0]),
        without=SHOWN,
    ),
    "Continuous/sphere": Case(
        lambda: transforms.Continuous(SMALL_VELOCITY, Sphere(2), ACCURATE, context=2),
        on_sphere(6, 2),
        CONTEXT,
        tuple({*SOLVED} - {"spaces", "context_matters", "saving"}),
    ),
    "Continuous/circle": Case(
        lambda: transforms.Continuous(SMALL_VELOCITY, Sphere(1), ACCURATE),
        on_sphere(6, 1),
        without=tuple({*SOLVED} - {"spaces"}),
    ),
    "Continuous/torus": Case(
        lambda: transforms.Continuous(SMALL_VELOCITY, HOURS.with_shape((2,)), ACCURATE),
        24 * uniform(6, 2),
        without=tuple({*SOLVED} - {"spaces"}),
    ),
    "ConvexPotentialMap": Case(lambda: transforms.ConvexPotentialMap(2, centers=4), on_sphere(6, 2)),
    "ConvexPotentialMap/context": Case(
        lambda: transforms.ConvexPotentialMap(3, 3, 4.0, SMALL, 2), on_sphere(6, 3), CONTEXT, SHOWN
    ),
    "ExponentialMap": Case(lambda: transforms.ExponentialMap(2, centers=4), on_sphere(6, 2)),
    "ExponentialMap/conformal": Case(
        lambda: transforms.ExponentialMap(3, transforms.ConformalField(), 3, SMALL, 2), on_sphere(6, 3), CONTEXT, SHOWN
    ),
    "ExponentialMap/even": Case(
        lambda: transforms.ExponentialMap(1, transforms.EvenField(transforms.ExponentialField()), 3),
        on_sphere(6, 1),
        without=SHOWN,
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
    "UniformCircles": (lambda: distributions.UniformCircles(Circle((3,), 0.0, 24.0)), None),
    "VonMises": (lambda: distributions.VonMises((3,), 1.0, 3.0), None),
    "LearnedVonMises": (lambda: distributions.LearnedVonMises((3,), 2.0), None),
    "AutoregressiveDistribution": (
        lambda: distributions.AutoregressiveDistribution(3, distributions.CategoricalMass(4), SMALL_MADE),
        None,
    ),
    "PixelDistribution": (
        lambda: distributions.PixelDistribution(
            (1, 2, 2), distributions.CategoricalMass(3), partial(networks.GatedPixelCNN, hidden=4, layers=2)
        ),
        None,
    ),
    "PixelDistribution/pixels": (
        lambda: distributions.PixelDistribution(
            (2, 2, 2),
            distributions.CoupledLogisticMixture(2, 4, 2),
            partial(networks.PixelCNNPlusPlus, hidden=4, layers=1),
            2,
        ),
        CONTEXT,
    ),
    "AutoregressiveDistribution/nade": (
        lambda: distributions.AutoregressiveDistribution(
            3,
            distributions.CategoricalMass(4),
            partial(networks.CategoricalNADE, classes=4, hidden=8),
            2,
            [1, 2, 0],
        ),
        CONTEXT,
    ),
    "OrderAgnosticDistribution": (
        lambda: distributions.OrderAgnosticDistribution(
            3, distributions.BernoulliMass(), partial(networks.DeepNADE, hidden=8), 2, orders=2
        ),
        CONTEXT,
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
            distributions.DiscretizedLogisticMixture(2),
            (3, 2, 2),
            (1, 2),
            partial(networks.DenseNet, hidden=4),
            (4, 2, 2),
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
    "ConditionalFullNormal": (lambda: distributions.ConditionalFullNormal((3,), SMALL, context=2), CONTEXT),
    "ConditionalFactorNormal": (lambda: distributions.ConditionalFactorNormal((3,), SMALL, context=2), CONTEXT),
    "GivenParameters": (
        lambda: distributions.GivenParameters(distributions.CategoricalMass(4), (2, 2, 1)),
        normal(6, 8, 2, 1),
    ),
}

DISTRIBUTIONS |= {
    # On one and two dimensions, where the mass is summed too.
    "FromTorch": (lambda: distributions.FromTorch(torch.distributions.Laplace(torch.zeros(2), 1.0)), None),
    "FromTorch/learned": (
        lambda: distributions.FromTorch(
            torch.distributions.Normal(torch.nn.Parameter(torch.zeros(2)), torch.tensor([1.0, 2.0]))
        ),
        None,
    ),
    "FromTorch/interval": (lambda: distributions.FromTorch(torch.distributions.Gamma(2.0 + torch.zeros(1), 1.0)), None),
    "FromTorch/integers": (
        lambda: distributions.FromTorch(torch.distributions.Binomial(5, torch.tensor([0.3, 0.6]))),
        None,
    ),
    "Beta/line": (lambda: distributions.Beta((1,), 0.7, 3.0), None),
    "ConditionalGaussianMixture/line": (
        lambda: distributions.ConditionalGaussianMixture((1,), SMALL, context=2, components=4),
        CONTEXT,
    ),
    "DiagonalNormal/plane": (lambda: distributions.DiagonalNormal((2,)), None),
    "FullNormal/plane": (lambda: distributions.FullNormal((2,)), None),
    "GaussianMixture/plane": (lambda: distributions.GaussianMixture((2,), 4), None),
    "LearnedStudentT/line": (lambda: distributions.LearnedStudentT((1,)), None),
    "StandardLogistic/plane": (lambda: distributions.StandardLogistic((2,)), None),
    "StudentT/line": (lambda: distributions.StudentT((1,), 4.0), None),
    "UniformCircles/torus": (lambda: distributions.UniformCircles(Circle((2,), 0.0, 24.0)), None),
    "VonMises/torus": (lambda: distributions.VonMises((2,), 1.0, 3.0), None),
    "LearnedVonMises/torus": (lambda: distributions.LearnedVonMises((2,), 2.0), None),
    "Uniform/plane": (lambda: distributions.Uniform((2,)), None),
    "StandardNormal/plane": (lambda: distributions.StandardNormal((2,)), None),
    "ConditionalFullNormal/plane": (
        lambda: distributions.ConditionalFullNormal((2,), SMALL, context=2),
        CONTEXT,
    ),
    "ConditionalFactorNormal/plane": (
        lambda: distributions.ConditionalFactorNormal((2,), SMALL, context=2),
        CONTEXT,
    ),
    "GivenParameters/plane": (
        lambda: distributions.GivenParameters(distributions.GaussianConditional(), (2,)),
        normal(6, 4),
    ),
    "ConditionalNormal/plane": (lambda: distributions.ConditionalNormal((2,), SMALL, context=2), CONTEXT),
    "RNADE/shared": (
        lambda: distributions.RNADE(2, 2, partial(networks.RescaledNADE, hidden=8), 2),
        CONTEXT,
    ),
    "RNADE/laplace": (
        lambda: distributions.AutoregressiveDistribution(
            2, distributions.LaplaceMixtureConditional(2), partial(networks.RescaledNADE, hidden=8)
        ),
        None,
    ),
    "RNADE/plane": (lambda: distributions.RNADE(2, 2, SMALL_MADE, 2, [1, 0]), CONTEXT),
    "DiscretizedLogistic/line": (lambda: distributions.DiscretizedLogistic((1,), 2, unit=3.0), None),
    "DiscretizedLogistic/bounded": (lambda: distributions.DiscretizedLogistic((2,), 2, low=0, high=3), None),
}

DISTRIBUTIONS |= {
    "UniformSphere": (lambda: distributions.UniformSphere(2), None),
    "UniformSphere/three": (lambda: distributions.UniformSphere(3), None),
    "VonMisesFisher": (lambda: distributions.VonMisesFisher(2, 4.0), None),
    "VonMisesFisher/circle": (lambda: distributions.VonMisesFisher(1), None),
    "VonMisesFisher/three": (lambda: distributions.VonMisesFisher(3, 2.0, (0.0, 1.0, 0.0, 1.0)), None),
    "Kent": (lambda: distributions.Kent(5.0, 0.7), None),
    "SphereKernelDensity": (
        lambda: distributions.SphereKernelDensity(torch.eye(3), widths=[0.5], multiples=[0.7], neighbour=1),
        None,
    ),
    "Antipodal": (lambda: distributions.Antipodal(distributions.VonMisesFisher(2, 3.0, (1.0, 1.0, 0.0))), None),
    "GaussianCopula": (lambda: distributions.GaussianCopula(3), None),
    "VineCopula": (lambda: distributions.VineCopula(3), None),
    "GaussianCopula/plane": (lambda: distributions.GaussianCopula(2), None),
    "GeneralisedPareto": (lambda: distributions.GeneralisedPareto((3,)), None),
    "GeneralisedPareto/line": (lambda: distributions.GeneralisedPareto((1,), 3.0), None),
    "MarginalTails": (lambda: distributions.MarginalTails([2.0, float("inf"), 0.5]), None),
    "MarginalTails/line": (lambda: distributions.MarginalTails([2.0]), None),
    "IncreasingNetwork": (lambda: distributions.IncreasingNetwork(2, 4), None),
    "IncreasingNetwork/line": (lambda: distributions.IncreasingNetwork(1, 4), None),
    "StudentCopula": (lambda: distributions.StudentCopula(2), None),
}


def components(*shape: int) -> list[Distribution]:
    return [distributions.DiagonalNormal(shape), distributions.FullNormal(shape)]


DISTRIBUTIONS |= {
    "Mixture": (
        lambda: distributions.Mixture(
            [
                distributions.ConditionalNormal((3,), SMALL, context=2),
                distributions.ConditionalFullNormal((3,), SMALL, 2),
            ]
        ),
        CONTEXT,
    ),
    "Mixture/plane": (lambda: distributions.Mixture(components(2)), None),
    "Mixture/integers": (lambda: distributions.Mixture([distributions.Categorical((2,), 3) for _ in range(2)]), None),
    "Assigned": (
        lambda: distributions.Assigned(distributions.Mixture(components(2))),
        torch.tensor([0.0, 1, 1, 0, 0, 1]),
    ),
}

# Networks: factories called as network(4, 8, context), on vectors of 4 features or images of 4 channels.
VECTOR_NETWORKS: dict[str, Callable[..., torch.nn.Module]] = {
    "DenseMLP": networks.DenseMLP,
    "LipschitzMLP": networks.LipschitzMLP,
    "LipschitzDenseMLP": networks.LipschitzDenseMLP,
    "CausalTransformer": SMALL_TRANSFORMER,
    "DetachedMLP": networks.DetachedMLP,
    "MADE": networks.MADE,
    "MLP": networks.MLP,
    "NADE": networks.NADE,
    "RescaledNADE": networks.RescaledNADE,
    "CategoricalNADE": partial(networks.CategoricalNADE, classes=3),
    "RasterNetwork": partial(
        networks.RasterNetwork, plane=(2, 2), network=partial(networks.GatedPixelCNN, hidden=4, layers=2)
    ),
    "ResidualMADE": networks.ResidualMADE,
    "Clipped": networks.Clipped,
    "WaveNet": partial(networks.WaveNet, hidden=8, dilations=(1, 2)),
}
IMAGE_NETWORKS: dict[str, Callable[..., torch.nn.Module]] = {
    "AttentionConvNet": partial(networks.AttentionConvNet, hidden=8),
    "DenseNet": networks.DenseNet,
    "GatedConvNet": partial(networks.GatedConvNet, hidden=8),
    "GlowConvNet": partial(networks.GlowConvNet, hidden=8),
    "DiagonalBiLSTM": partial(networks.DiagonalBiLSTM, hidden=8, layers=1),
    "GatedPixelCNN": partial(networks.GatedPixelCNN, hidden=8, layers=2),
    "PixelCNN": partial(networks.PixelCNN, hidden=8, layers=1),
    "PixelCNNPlusPlus": partial(networks.PixelCNNPlusPlus, hidden=8, layers=1, numbers=4),
    "RowLSTM": partial(networks.RowLSTM, hidden=8, layers=1),
    "LipschitzConvNet": partial(networks.LipschitzConvNet, plane=(4, 6), hidden=8),
    "LipschitzDenseNet": partial(networks.LipschitzDenseNet, plane=(4, 6), hidden=4),
}
# What wraps or prepares a network; tested where it is used.
NETWORK_HELPERS = {"OneHotMADE", "ReZero", "Rezeroed", "MaskedChannels", "MaskedConvolution", "Joined"}
# Layers and activations of Lipschitz networks; tested with them.
NETWORK_HELPERS |= {"LipschitzLinear", "LipschitzConvolution", "LipschitzELU", "LipSwish", "CLipSwish", "LipschitzSine"}
NETWORK_HELPERS |= {"normalised_once"}
# Of integers and the cells of dequantization; tested with clips.
NETWORK_HELPERS |= {"CellMiddles", "NearestCellMiddle"}
# Of a mask beside the events; tested in tests/test_order_agnostic.py.
NETWORK_HELPERS |= {"DeepNADE"}
# Of contexts that are left out, and of what a network says without one; tested with transformer flows.
NETWORK_HELPERS |= {"DroppedContext", "Guided"}
# Of events to vectors and back, whose inputs and outputs differ in shape; tested with the autoencoders.
NETWORK_HELPERS |= {"DenseEncoder", "DenseDecoder", "GatedConvEncoder", "GatedConvDecoder"}
NETWORKS = {**VECTOR_NETWORKS, **IMAGE_NETWORKS, **dict.fromkeys(NETWORK_HELPERS)}
# Networks of the time too, tested with continuous flows.
VELOCITIES = {"ConcatSquashConvNet", "ConcatSquashMLP", "ResidualVelocity", "VelocityMLP", "WaveVelocity"}
# What makes a field of a sphere of one of the space around; tested with continuous flows on spheres.
NETWORK_HELPERS |= {"CircleVelocity", "TangentVelocity"}
# Networks of graphs; tested with them.
NETWORK_HELPERS |= {"EdgeNetwork", "NodeNetwork"}
NETWORKS = {**VECTOR_NETWORKS, **IMAGE_NETWORKS, **dict.fromkeys(NETWORK_HELPERS | VELOCITIES)}

# Names in __all__ that are no part of their own: bases, helpers and modules.
ABSTRACT = {
    "ForceKernel",
    "Kernel",
    "Conditional",
    "MassFunction",
    "MixtureConditional",
    "ScalarBijection",
    "CircleMap",
    "Transform",
    "Bijection",
    "Distribution",
    "NetworkFactory",
    "Velocity",
    "VelocityFactory",
    "CausalNetwork",
    "MaskedNetwork",
    "PixelNetwork",
    "LogDeterminant",
    "OrthonormalBasis",
    "ScalarField",
    "CumulativeNetwork",
}
HELPERS = {
    # Of ExponentialMap: the fields whose gradients it follows.
    "ConformalField",
    "EvenField",
    "ExponentialField",
    # Of Continuous: how its equation is solved, differentiated, and its divergence found.
    "Checkpoints",
    "DormandPrince",
    "ExactTrace",
    "FixedSteps",
    "Hutchinson",
    # Kernels and targets of stochastic layers: Relaxation is their structure.
    "Annealed",
    "Hamiltonian",
    "Langevin",
    "Metropolis",
    "TiltedNormal",
    "BernoulliMass",
    "CategoricalMass",
    "CoupledLogisticMixture",
    "DiscretizedLogisticMixture",
    # Of Piecewise: where its regions are.
    "regions",
    "bipartite",
    "multipartite",
    "quadripartite",
    "GaussianConditional",
    "GaussianMixtureConditional",
    "LaplaceMixtureConditional",
    # How a Sylvester flow's orthonormal columns are made.
    "HouseholderBasis",
    "OrthogonalBasis",
    "PermutationBasis",
    "diagonal",
    "lu",
    "qr",
    "masks",
    "flip",
    "random_permutation",
    # A warning.
    "ReachWarning",
    # How a contractive transform computes its log-determinant and its inverse.
    "ExactLogDeterminant",
    "TruncatedSeries",
    "RussianRoulette",
    "GeometricTerms",
    "PoissonTerms",
    "NeumannGradients",
    "GradientsInForward",
    "FixedPointInverse",
    # A density as far as its training has come; tested in tests/test_forerunners.py.
    "PenalisedNetwork",
    # On one-hot vectors, in the place of numbers: OneHotAutoregressive is its structure.
    "ModularAffine",
}
