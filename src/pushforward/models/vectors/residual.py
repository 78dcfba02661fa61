"""Flows of one hidden layer each: planar, radial and Sylvester."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MLP
from pushforward.networks.context import Context
from pushforward.transforms import Planar, Radial, Sylvester


@model("planar")
def planar(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 16,
    hidden: int | Sequence[int] = HIDDEN,
) -> Flow:
    """Planar flow: expansions and contractions across hyperplanes.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many planar maps.
        hidden: widths of the networks that make the maps of a context; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.planar(features=3, layers=4).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    given, network = conditioning(context, embedding), partial(MLP, hidden=widths(hidden))
    return vector_flow(features, [Planar(features, network, given.taken) for _ in range(layers)], given)


@model("radial")
def radial(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 16,
    hidden: int | Sequence[int] = HIDDEN,
) -> Flow:
    """Radial flow: expansions and contractions around points.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many radial maps.
        hidden: widths of the networks that make the maps of a context; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.radial(features=3, layers=4).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    given, network = conditioning(context, embedding), partial(MLP, hidden=widths(hidden))
    return vector_flow(features, [Radial(features, network, given.taken) for _ in range(layers)], given)


@model("sylvester")
def sylvester(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 8,
    hidden: int | Sequence[int] = HIDDEN,
    units: int | None = None,
) -> Flow:
    """Sylvester flow: planar flows of several hidden units each.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many Sylvester maps.
        hidden: widths of the networks that make the maps of a context; one number stands for two layers.
        units: the hidden units of each map, as many as there are features by default.

    Raises:
        UsageError: if an option does not fit.

    Source: van den Berg, Hasenclever, Tomczak, Welling (2018), arXiv:1803.05649.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.sylvester(features=3, layers=4, units=2).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    given, network = conditioning(context, embedding), partial(MLP, hidden=widths(hidden))
    parts = [Sylvester(features, units, network=network, context=given.taken) for _ in range(layers)]
    return vector_flow(features, parts, given)
