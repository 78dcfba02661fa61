"""Recipes for categories: discrete flows, and continuous flows of learned codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import Distribution, StandardLogistic
from pushforward.distributions.discrete.one_hot import FromOneHot, OneHotAutoregressiveCategorical, OneHotCategorical
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import widths
from pushforward.networks import MLP, DetachedMLP
from pushforward.networks.context import Context
from pushforward.scalar import MixtureCDF, ModularAffine
from pushforward.transforms import (
    ActNorm,
    CategoricalEncoding,
    Coupling,
    Integers,
    Multipartite,
    OneHotAutoregressive,
    Transform,
    masks,
)


@model("discrete-flow", layers=0, features=2)
def discrete_flow(
    features: int = 2,
    classes: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 2,
    hidden: int | Sequence[int] = (64, 64),
    autoregressive: bool = False,
) -> Flow:
    """Discrete flow of categories: modular location-scale maps, in two parts or autoregressive.

    In two parts the base is independent; autoregressive, the base is autoregressive too, in the opposite order.

    Args:
        features: the number of variables, at least 2.
        classes: the number of categories ``K`` of each, up to 256 or so.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many maps; in two parts they take turns in what they change.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        autoregressive: whether the maps are autoregressive instead of in two parts.

    Raises:
        UsageError: if an option does not fit.

    Source: Tran, Vafa, Agrawal, Dinh, Poole (2019), arXiv:1905.10347.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.discrete_flow(features=2, classes=3)
        >>> pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3))
        >>> round(flow.log_prob(pairs).exp().sum().item(), 5)
        1.0
    """
    given, operation = conditioning(context, embedding), ModularAffine(classes)
    parts: list[Transform]
    base: Distribution
    if autoregressive:
        parts = [OneHotAutoregressive(features, operation, given.taken, hidden=widths(hidden)) for _ in range(layers)]
        backwards = list(reversed(range(features)))
        base = OneHotAutoregressiveCategorical(features, classes, given.taken, hidden=widths(hidden), order=backwards)
    else:
        parts = [_in_two(features, operation, widths(hidden), given.taken, index) for index in range(layers)]
        base = OneHotCategorical(features, classes)
    inner = Flow(parts, base) if parts else base
    return given.flow([Integers(classes)], FromOneHot(inner))


@model("categorical-flow", layers=0)
def categorical_flow(
    features: int = 2,
    classes: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    dimensions: int = 2,
    layers: int = 4,
    hidden: int | Sequence[int] = (64, 64),
) -> Flow:
    """Categorical normalizing flow: a learned random code for each category, and a continuous flow of the codes.

    Args:
        features: the number of variables.
        classes: the number of categories of each.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        dimensions: the dimensions of each variable's code.
        layers: couplings, each a mixture of logistic CDFs behind an activation normalisation.
        hidden: widths of the networks' hidden layers; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Lippe, Gavves (2021), arXiv:2006.09790.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.categorical_flow(features=3, classes=4)
        >>> x = torch.tensor([[0, 3, 1]])
        >>> bool((flow.decode(flow.encode(x)) == x).all()), flow.accuracy.describe()
        (True, 'lower bound')
    """
    width = features * dimensions
    if width < 2:
        raise UsageError(f"categorical-flow expects at least 2 dimensions in all, got {width}: raise dimensions")
    given, network, mask = (
        conditioning(context, embedding),
        partial(MLP, hidden=widths(hidden)),
        masks.alternating(width),
    )
    parts: list[Transform] = [CategoricalEncoding(features, classes, dimensions)]
    for index in range(layers):
        kept = mask if index % 2 else ~mask
        parts += [ActNorm(width), Coupling(kept, MixtureCDF(), network, given.taken)]
    return given.flow(parts, StandardLogistic((width,)))


def _in_two(features: int, operation: ModularAffine, hidden: Sequence[int], context: Context, index: int) -> Transform:
    """One part decides about the other; which is which alternates."""
    kept = features // 2
    operations = (operation, None) if index % 2 else (None, operation)
    parts = (kept, features - kept)
    return Multipartite((features, operation.classes), parts, operations, partial(DetachedMLP, hidden=hidden), context)
