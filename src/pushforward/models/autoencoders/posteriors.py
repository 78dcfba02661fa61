"""Posteriors of variational autoencoders: distributions of latents that the encoder's features decide.

All sample in one pass, with their log-densities: what a layer computes in closed form leads from the noise to the
latents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from pushforward.distributions import ConditionalFactorNormal, ConditionalFullNormal, ConditionalNormal, Distribution
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.vectors.standardised import widths
from pushforward.networks import MADE, MLP
from pushforward.scalar import GatedAffine, RationalQuadraticSpline, ScalarBijection
from pushforward.transforms import (
    Autoregressive,
    HouseholderBasis,
    Inverse,
    OrthogonalBasis,
    PermutationBasis,
    Planar,
    Radial,
    Sylvester,
    Transform,
)

#: A network of the encoder's features without a hidden layer: all depth is the encoder's.
LINEAR = partial(MLP, hidden=())

BINS, BOUND = 8, 5.0
"""Of the splines of the posterior ``nsf``."""


@dataclass(frozen=True)
class Sizes:
    """What a posterior is made of.

    Attributes:
        latents: the number of dimensions ``L``.
        features: of the encoder.
        layers: how many transforms.
        units: hidden units of a Sylvester map; those of the triangular form are ``L``.
        hidden: widths of the masked networks' hidden layers.
    """

    latents: int
    features: int
    layers: int
    units: int
    hidden: int | Sequence[int]


def diagonal(sizes: Sizes) -> Distribution:
    """Independent normals."""
    return ConditionalNormal((sizes.latents,), LINEAR, sizes.features)


def full(sizes: Sizes) -> Distribution:
    """A normal with a full covariance."""
    return ConditionalFullNormal((sizes.latents,), LINEAR, sizes.features)


def copula(sizes: Sizes) -> Distribution:
    """The neural Gaussian copula, a normal whose covariance is diagonal plus one factor."""
    return ConditionalFactorNormal((sizes.latents,), LINEAR, sizes.features)


def planar(sizes: Sizes) -> Distribution:
    """Planar maps whose parameters are amortised."""
    return _flow(sizes, lambda layer: Planar(sizes.latents, LINEAR, sizes.features))


def radial(sizes: Sizes) -> Distribution:
    """Radial maps whose parameters are amortised."""
    return _flow(sizes, lambda layer: Radial(sizes.latents, LINEAR, sizes.features))


def iaf(sizes: Sizes) -> Distribution:
    """Inverse autoregressive flow with gated updates; its networks see the features, and the weights are shared."""
    return _flow(sizes, lambda layer: _autoregressive(sizes, GatedAffine(), layer))


def nsf(sizes: Sizes) -> Distribution:
    """Inverse autoregressive flow with splines."""
    return _flow(sizes, lambda layer: _autoregressive(sizes, RationalQuadraticSpline(BINS, BOUND), layer))


def sylvester(sizes: Sizes) -> Distribution:
    """Sylvester maps with orthogonal matrices by Bjorck's iteration."""
    units = min(sizes.units, sizes.latents)
    bases = [OrthogonalBasis(first=layer * units % sizes.latents) for layer in range(sizes.layers)]
    return _flow(sizes, lambda layer: Sylvester(sizes.latents, units, bases[layer], LINEAR, sizes.features))


def householder_sylvester(sizes: Sizes) -> Distribution:
    """Sylvester maps with Householder reflections."""
    units = min(sizes.units, sizes.latents)
    return _flow(sizes, lambda layer: Sylvester(sizes.latents, units, HouseholderBasis(), LINEAR, sizes.features))


def triangular_sylvester(sizes: Sizes) -> Distribution:
    """Triangular Sylvester maps, every second one with the dimensions backwards."""
    bases = [PermutationBasis(backwards=layer % 2 == 1) for layer in range(sizes.layers)]
    return _flow(sizes, lambda layer: Sylvester(sizes.latents, None, bases[layer], LINEAR, sizes.features))


POSTERIORS: dict[str, Callable[[Sizes], Distribution]] = {
    "diagonal": diagonal,
    "full": full,
    "copula": copula,
    "planar": planar,
    "radial": radial,
    "iaf": iaf,
    "nsf": nsf,
    "sylvester": sylvester,
    "householder-sylvester": householder_sylvester,
    "triangular-sylvester": triangular_sylvester,
}
"""By name."""


def posterior_named(name: str, sizes: Sizes) -> Distribution:
    """Return the posterior of a name.

    Raises:
        UsageError: if there is none.
    """
    if name not in POSTERIORS:
        raise UsageError(f"posterior expects one of {', '.join(POSTERIORS)}, got {name!r}")
    return POSTERIORS[name](sizes)


def _flow(sizes: Sizes, layer: Callable[[int], Transform]) -> Flow:
    """Layers, first applied first, from a diagonal normal to the latents; a flow leads the other way."""
    layers = [Inverse(layer(index)) for index in range(sizes.layers)]
    return Flow(layers[::-1], diagonal(sizes))


def _autoregressive(sizes: Sizes, scalar: ScalarBijection, layer: int) -> Transform:
    there = torch.arange(sizes.latents)
    order = there if layer % 2 == 0 else there.flip(0)
    return Autoregressive(sizes.latents, scalar, partial(MADE, hidden=widths(sizes.hidden)), sizes.features, order)
