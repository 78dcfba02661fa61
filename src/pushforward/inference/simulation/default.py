"""The flow that posteriors are estimated by where no other is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pushforward.distributions import StandardNormal
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.vectors.coupling import coupling_layers
from pushforward.networks import MLP
from pushforward.scalar import Affine, RationalQuadraticSpline
from pushforward.transforms import ConditionalElementwise, Transform

HIDDEN = 64
"""The widths of the networks' hidden layers."""


def default_flow(
    features: int,
    context: int,
    layers: int = 4,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
) -> Flow:
    """A location and scale that the context decides, then neural spline couplings, onto a standard normal.

    It begins as the identity: what comes in is whitened, and what needs no more stays as it is. Of a single parameter
    the splines depend on the context alone.

    Args:
        features: the number of parameters.
        context: features of what is observed.
        layers: how many couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        bins: the pieces of each spline.
        bound: how far the splines reach.

    Example:
        >>> default_flow(2, 3).inner_context
        Reals(shape=(3,))
    """
    network = partial(MLP, hidden=hidden)
    spline = RationalQuadraticSpline(bins, bound)
    parts: list[Transform] = [ConditionalElementwise(Affine(), features, network, context)]
    if features == 1:
        parts.append(ConditionalElementwise(spline, features, network, context))
    else:
        parts += coupling_layers(features, spline, conditioning(context, None), layers, hidden)
    return Flow(parts, StandardNormal((features,)))
