"""Real and discrete: flows with piecewise invertible maps among their layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import StandardLogistic
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.coupling import coupling_layers
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MLP
from pushforward.networks.context import Context
from pushforward.scalar import Affine
from pushforward.transforms import Piecewise, Transform


@model("rad", pieces=2)
def rad(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int | Sequence[int] = HIDDEN,
    pieces: int = 4,
) -> Flow:
    """RAD: RealNVP whose data are parted into regions that share one latent, for densities of several parts.

    Each dimension in turn is parted into pieces, whose regions are laid over each other; affine couplings onto a
    logistic base follow. The density is continuous and exact. ``pf.transforms.regions(flow.transform, x)`` tells the
    region of each event.

    Args:
        features: the number of dimensions, at least 2.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        pieces: into how many pieces each dimension is parted.

    Raises:
        UsageError: if an option does not fit.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), arXiv:1903.07714.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.rad(features=2, pieces=2)
        >>> flow.log_prob(torch.zeros(4, 2)).shape, pf.transforms.regions(flow.transform, torch.ones(1, 2))
        (torch.Size([4]), tensor([3]))
    """
    given, network = conditioning(context, embedding), partial(MLP, hidden=widths(hidden))
    parted: list[Transform] = [Piecewise(features, pieces, index, network, given.taken) for index in range(features)]
    couplings = coupling_layers(features, Affine(), given, layers, hidden)
    # The density of a logistic falls as fast as the regions' latents run out at their edges, where it stays positive.
    return vector_flow(features, [*parted, *couplings], given, StandardLogistic((features,)))
