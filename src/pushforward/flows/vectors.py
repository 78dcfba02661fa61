"""Recipes for vectors: autoregressive and coupling flows, flows of one hidden unit, and flows onto a uniform base.

Every recipe takes ``features`` (the number of dimensions), ``context`` (features of a conditioning vector, 0 for none),
``layers`` and ``hidden`` (widths of the networks' hidden layers, or one width).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from pushforward.distributions import StandardNormal
from pushforward.flows.couplings import vector_couplings
from pushforward.flows.flow import Flow
from pushforward.flows.registry import register
from pushforward.networks import MADE
from pushforward.scalar import Affine, RationalQuadraticSpline, ScalarBijection
from pushforward.transforms import Autoregressive, Inverse, Transform

HIDDEN = (128, 128)


@register("maf")
def maf(features: int = 2, context: int = 0, layers: int = 5, hidden: int | Sequence[int] = HIDDEN) -> Flow:
    """Masked autoregressive flow: affine maps whose shifts and scales the dimensions before decide.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057.
    """
    return Flow(_autoregressive(Affine(), features, context, layers, hidden), StandardNormal((features,)))


@register("iaf")
def iaf(features: int = 2, context: int = 0, layers: int = 5, hidden: int | Sequence[int] = HIDDEN) -> Flow:
    """Inverse autoregressive flow: samples in one pass, densities one dimension after the other.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934.
    """
    forwards = _autoregressive(Affine(), features, context, layers, hidden)
    return Flow([Inverse(layer) for layer in forwards], StandardNormal((features,)))


@register("nsf")
def nsf(
    features: int = 2,
    context: int = 0,
    layers: int = 5,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
) -> Flow:
    """Autoregressive neural spline flow: rational-quadratic splines inside ``(-bound, bound)``, the identity outside.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032.
    """
    spline = RationalQuadraticSpline(bins, bound)
    return Flow(_autoregressive(spline, features, context, layers, hidden), StandardNormal((features,)))


@register("nsf-coupling")
def nsf_coupling(
    features: int = 2,
    context: int = 0,
    layers: int = 6,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
) -> Flow:
    """Coupling neural spline flow: rational-quadratic splines, fast in both directions.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032.
    """
    spline = RationalQuadraticSpline(bins, bound)
    return Flow(vector_couplings(features, spline, context, layers, hidden), StandardNormal((features,)))


def _autoregressive(
    scalar: ScalarBijection, features: int, context: int, layers: int, hidden: int | Sequence[int]
) -> list[Transform]:
    """Autoregressive layers whose order is reversed from one to the next."""
    there = torch.arange(features)
    network = partial(MADE, hidden=_widths(hidden))
    orders = [there if layer % 2 == 0 else there.flip(0) for layer in range(layers)]
    return [Autoregressive(features, scalar, network, context, order) for order in orders]


def _widths(hidden: int | Sequence[int]) -> Sequence[int]:
    return (hidden, hidden) if isinstance(hidden, int) else hidden
