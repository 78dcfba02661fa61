"""Real and discrete: flows with piecewise invertible maps among their layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import StandardLogistic
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.coupling import alternating
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MLP, Clipped
from pushforward.networks.context import Context
from pushforward.scalar import RationalQuadraticSpline, Scaling
from pushforward.transforms import Elementwise, Piecewise, Transform


@model("rad", pieces=2)
def rad(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int | Sequence[int] = HIDDEN,
    pieces: int = 2,
    bins: int = 8,
    bound: float = 6.0,
) -> Flow:
    """RAD: a flow whose data are parted into regions that share one latent, for densities of several parts.

    Each dimension is scaled and bent by a spline, then parted into pieces, whose regions are laid over each other;
    spline couplings onto a logistic base follow. The density is continuous, positive and exact.
    ``pf.transforms.regions(flow.transform, x)`` tells the region of each event.

    Args:
        features: the number of dimensions, at least 2.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        pieces: into how many pieces each dimension is parted. More than two are for densities that repeat themselves;
            of others, what the regions share is too little.
        bins: the pieces of each spline.
        bound: how far the splines reach, and what the networks tell apart.

    Raises:
        UsageError: if an option does not fit.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), arXiv:1903.07714.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.rad(features=2)
        >>> flow.log_prob(torch.zeros(4, 2)).shape, pf.transforms.regions(flow.transform, torch.ones(1, 2))
        (torch.Size([4]), tensor([3]))
    """
    given, network = conditioning(context, embedding), partial(MLP, hidden=widths(hidden))
    # Far out, where the edges are in the latents, splines are the identity and the networks' outputs constant: the
    # density there is that of the base, which falls as fast as the latents run out.
    spline = RationalQuadraticSpline(bins, bound)
    parted: list[Transform] = [Piecewise(features, pieces, index, network, given.taken) for index in range(features)]
    couplings = alternating(features, spline, given, layers, partial(Clipped, network=network, bound=bound))
    return vector_flow(
        features,
        [_spread(features), Elementwise(spline, (features,)), *parted, *couplings],
        given,
        StandardLogistic((features,)),
    )


def _spread(features: int) -> Transform:
    """A scaling that begins where standardised data become as wide as a logistic, in whose quantiles the edges are."""
    scaling = Elementwise(Scaling(), (features,))
    nn.init.constant_(scaling.parameters_per_element, math.log(math.pi / math.sqrt(3)))
    return scaling
