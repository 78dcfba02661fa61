"""Recipes for vectors: autoregressive and coupling flows, flows of one hidden unit, and flows onto a uniform base.

Every recipe takes ``features`` (the number of dimensions), ``context`` (features of a conditioning vector, 0 for none),
``layers`` and ``hidden`` (widths of the networks' hidden layers, or one width).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from pushforward.distributions import StandardNormal, Uniform
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.couplings import vector_couplings
from pushforward.models.registry import model
from pushforward.models.standard import vector_flow
from pushforward.networks import MADE, MLP
from pushforward.networks.context import Context
from pushforward.scalar import (
    Affine,
    DeepSigmoidal,
    GaussianMixtureCDF,
    IntegralNetwork,
    MixtureCDF,
    RationalQuadraticSpline,
    ScalarBijection,
)
from pushforward.spaces import as_context
from pushforward.transforms import (
    Autoregressive,
    ConditionalElementwise,
    Elementwise,
    Householder,
    Inverse,
    Planar,
    Radial,
    Sylvester,
    Transform,
)

HIDDEN = (128, 128)


@model("maf")
def maf(features: int = 2, context: Context = 0, layers: int = 5, hidden: int | Sequence[int] = HIDDEN) -> Flow:
    """Masked autoregressive flow: affine maps whose shifts and scales the dimensions before decide.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057.
    """
    return vector_flow(
        _autoregressive(Affine(), features, context, layers, hidden), StandardNormal((features,)), context
    )


@model("iaf")
def iaf(features: int = 2, context: Context = 0, layers: int = 5, hidden: int | Sequence[int] = HIDDEN) -> Flow:
    """Inverse autoregressive flow: samples in one pass, densities one dimension after the other.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934.
    """
    forwards = _autoregressive(Affine(), features, context, layers, hidden)
    return vector_flow([Inverse(layer) for layer in forwards], StandardNormal((features,)), context)


@model("nsf")
def nsf(
    features: int = 2,
    context: Context = 0,
    layers: int = 5,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
) -> Flow:
    """Autoregressive neural spline flow: rational-quadratic splines inside ``(-bound, bound)``, the identity outside.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032.
    """
    spline = RationalQuadraticSpline(bins, bound)
    return vector_flow(_autoregressive(spline, features, context, layers, hidden), StandardNormal((features,)), context)


@model("nsf-coupling")
def nsf_coupling(
    features: int = 2,
    context: Context = 0,
    layers: int = 6,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
) -> Flow:
    """Coupling neural spline flow: rational-quadratic splines, fast in both directions.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032.
    """
    spline = RationalQuadraticSpline(bins, bound)
    return vector_flow(
        vector_couplings(features, spline, context, layers, hidden), StandardNormal((features,)), context
    )


@model("naf")
def naf(
    features: int = 2, context: Context = 0, layers: int = 3, hidden: int | Sequence[int] = HIDDEN, units: int = 8
) -> Flow:
    """Neural autoregressive flow: each dimension passes a monotone network of ``units`` sigmoids.

    Source: Huang, Krueger, Lacoste, Courville (2018), arXiv:1804.00779.
    """
    network = DeepSigmoidal(units, layers=1)
    return vector_flow(
        _autoregressive(network, features, context, layers, hidden), StandardNormal((features,)), context
    )


@model("umnn")
def umnn(
    features: int = 2, context: Context = 0, layers: int = 3, hidden: int | Sequence[int] = HIDDEN, units: int = 8
) -> Flow:
    """Unconstrained monotonic neural networks: each dimension passes the integral of a positive network.

    Source: Wehenkel, Louppe (2019), arXiv:1908.05164.
    """
    network = IntegralNetwork(units)
    return vector_flow(
        _autoregressive(network, features, context, layers, hidden), StandardNormal((features,)), context
    )


@model("planar")
def planar(features: int = 2, context: Context = 0, layers: int = 16, hidden: int | Sequence[int] = HIDDEN) -> Flow:
    """Planar flow: expansions and contractions across hyperplanes; a context decides them by networks of ``hidden``.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770.
    """
    network = partial(MLP, hidden=_widths(hidden))
    return vector_flow(
        [Planar(features, network, context) for _ in range(layers)], StandardNormal((features,)), context
    )


@model("radial")
def radial(features: int = 2, context: Context = 0, layers: int = 16, hidden: int | Sequence[int] = HIDDEN) -> Flow:
    """Radial flow: expansions and contractions around points; a context decides them by networks of ``hidden``.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770.
    """
    network = partial(MLP, hidden=_widths(hidden))
    return vector_flow(
        [Radial(features, network, context) for _ in range(layers)], StandardNormal((features,)), context
    )


@model("sylvester")
def sylvester(
    features: int = 2,
    context: Context = 0,
    layers: int = 8,
    hidden: int | Sequence[int] = HIDDEN,
    units: int | None = None,
) -> Flow:
    """Sylvester flow: planar flows of ``units`` hidden units; a context decides them by networks of ``hidden``.

    Source: van den Berg, Hasenclever, Tomczak, Welling (2018), arXiv:1803.05649.
    """
    network = partial(MLP, hidden=_widths(hidden))
    parts = [Sylvester(features, units, network=network, context=context) for _ in range(layers)]
    return vector_flow(parts, StandardNormal((features,)), context)


@model("cdf-1d")
def cdf_1d(
    features: int = 1,
    context: Context = 0,
    layers: int = 1,
    hidden: int | Sequence[int] = HIDDEN,
    components: int = 5,
) -> Flow:
    """CDF flow in one dimension: the CDF of a mixture of Gaussians onto a uniform base, so the density is the mixture.

    Layers before the last are mixture CDFs followed by a logit. Source: Abbeel, CS294-158 lecture 3.
    """
    if features != 1:
        raise UsageError(f"cdf-1d expects features=1, got {features}: cdf-2d is for two, nsf for more")
    inner = [_marginal(MixtureCDF("gaussian", components), 1, context, hidden) for _ in range(layers - 1)]
    return vector_flow([*inner, _marginal(GaussianMixtureCDF(components), 1, context, hidden)], Uniform((1,)), context)


@model("cdf-2d")
def cdf_2d(
    features: int = 2,
    context: Context = 0,
    layers: int = 1,
    hidden: int | Sequence[int] = HIDDEN,
    components: int = 5,
) -> Flow:
    """CDF flow in two dimensions: mixtures of Gaussians, the second given the first, onto a uniform base.

    Layers before the last are mixture CDFs followed by a logit. Source: Abbeel, CS294-158 lecture 3.
    """
    if features != 2:
        raise UsageError(f"cdf-2d expects features=2, got {features}: cdf-1d is for one, nsf for more")
    inner = _autoregressive(MixtureCDF("gaussian", components), 2, context, layers - 1, hidden)
    last = _autoregressive(GaussianMixtureCDF(components), 2, context, 1, hidden)
    return vector_flow([*inner, *last], Uniform((2,)), context)


@model("gaussianization")
def gaussianization(
    features: int = 2,
    context: Context = 0,
    layers: int = 8,
    hidden: int | Sequence[int] = HIDDEN,
    components: int = 8,
) -> Flow:
    """Gaussianization flow: each dimension by itself through mixture CDFs, then a learned rotation, in turn.

    Source: Meng, Song, Song, Ermon (2020), arXiv:2003.01941.
    """
    parts: list[Transform] = []
    for _ in range(layers):
        parts += [_marginal(MixtureCDF("logistic", components), features, context, hidden), Householder(features)]
    return vector_flow(parts, StandardNormal((features,)), context)


def _marginal(scalar: ScalarBijection, features: int, context: Context, hidden: int | Sequence[int]) -> Transform:
    """Each dimension by itself, with parameters that are learned or that the context decides."""
    if as_context(context) is None:
        return Elementwise(scalar, (features,))
    return ConditionalElementwise(scalar, features, partial(MLP, hidden=_widths(hidden)), context)


def _autoregressive(
    scalar: ScalarBijection, features: int, context: Context, layers: int, hidden: int | Sequence[int]
) -> list[Transform]:
    """Autoregressive layers whose order is reversed from one to the next."""
    there = torch.arange(features)
    network = partial(MADE, hidden=_widths(hidden))
    orders = [there if layer % 2 == 0 else there.flip(0) for layer in range(layers)]
    return [Autoregressive(features, scalar, network, context, order) for order in orders]


def _widths(hidden: int | Sequence[int]) -> Sequence[int]:
    return (hidden, hidden) if isinstance(hidden, int) else hidden
