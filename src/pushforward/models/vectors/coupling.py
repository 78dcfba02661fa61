"""Coupling flows: half of the dimensions change as the other half decides, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.registry import checked, model
from pushforward.models.vectors.autoregressive import real_line
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MLP, NetworkFactory
from pushforward.networks.context import Context
from pushforward.scalar import RationalQuadraticSpline, ScalarBijection
from pushforward.transforms import Coupling, Transform, masks


@checked
def coupling(
    features: int,
    scalar: ScalarBijection,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 6,
    hidden: int | Sequence[int] = HIDDEN,
) -> Flow:
    """Coupling flow of any scalar bijection, ``z_b = h(x_b; theta(x_a, context))`` in every layer.

    A standardisation, then couplings that keep every other dimension, in turn, each with an MLP, onto a standard normal
    base. ``realnvp`` and ``nsf-coupling`` are instances.

    Args:
        features: the number of dimensions, at least 2.
        scalar: the scalar bijection ``h`` of what changes, from the reals onto the reals.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516; Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.coupling(features=3, scalar=pf.scalar.MixtureCDF(), hidden=16)
        >>> flow.log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    given = conditioning(context, embedding)
    real_line("coupling", scalar)
    return vector_flow(features, coupling_layers(features, scalar, given, layers, hidden), given)


@model("nsf-coupling")
def nsf_coupling(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 6,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
) -> Flow:
    """Coupling neural spline flow: rational-quadratic splines, fast in both directions.

    Args:
        features: the number of dimensions, at least 2.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        bins: the pieces of each spline.
        bound: how far the splines reach, in standard deviations of the data.

    Raises:
        UsageError: if an option does not fit.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.nsf_coupling(features=3).sample(4).shape
        torch.Size([4, 3])
    """
    return coupling(features, RationalQuadraticSpline(bins, bound), context, embedding, layers, hidden)


def coupling_layers(
    features: int, scalar: ScalarBijection, given: Conditioning, layers: int, hidden: int | Sequence[int]
) -> list[Transform]:
    """Couplings over alternating masks, the two halves changing in turn."""
    return alternating(features, scalar, given, layers, partial(MLP, hidden=widths(hidden)))


def alternating(
    features: int, scalar: ScalarBijection, given: Conditioning, layers: int, network: NetworkFactory
) -> list[Transform]:
    """The same of any networks."""
    if features == 1:
        raise UsageError("a coupling flow expects at least 2 features, got 1: use an autoregressive flow")
    mask = masks.alternating(features)
    return [Coupling(~mask if index % 2 else mask, scalar, network, given.taken) for index in range(layers)]
