"""Flows of heavy-tailed vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from pushforward.distributions import MarginalTails
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.autoregressive import autoregressive_layers
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MADE
from pushforward.networks.context import Context
from pushforward.scalar import RationalQuadraticSpline
from pushforward.transforms import (
    Autoregressive,
    ExtremeValueTails,
    Permutation,
    Transform,
    Triangular,
    TriangularRegression,
)

START_INDEX = 5.0
"""The tail index that a tail-adaptive flow starts from where it is told none."""


@model("tails")
def tails(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 3,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
    indices: Sequence[float] | None = None,
) -> Flow:
    """Flow of heavy-tailed vectors: linear regressions, the tail transform of extreme-value theory, then splines.

    Beyond what the splines reach, the density of what the regressions leave of a dimension has exactly a generalised
    Pareto tail of the given or estimated index, whatever the splines' networks say; see ``ExtremeValueTails`` and
    ``TriangularRegression`` for why. With ``indices`` each dimension itself has the index that it is given.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers of splines.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.
        bins: the pieces of each spline.
        bound: how far the splines reach, in standard deviations of the latent.
        indices: a belief in the tail index of each dimension, ``inf`` for a light tail; by default they are estimated
            from the first batch, by Hill's estimator.

    Raises:
        UsageError: if an option does not fit.

    Source: Hickling, Prangle (2024), arXiv:2311.00580; Wiese, Knobloch, Korn (2019), arXiv:1907.03361, for beliefs.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.tails(features=2, indices=[1.0, 3.0])
        >>> far = torch.tensor([[1e8, 0.0], [1e9, 0.0]])
        >>> round((flow.log_prob(far[0]) - flow.log_prob(far[1])).item() / 2.302585, 2)  # 1 + the index
        2.0
    """
    given = conditioning(context, embedding)
    believed = None if indices is None else [float(index) for index in indices]
    splines = autoregressive_layers(features, RationalQuadraticSpline(bins, bound), given, layers, hidden)
    linear = TriangularRegression(features, believed)
    return vector_flow(features, [linear, ExtremeValueTails(features, believed), *splines], given)


@model("mtaf")
def mtaf(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 3,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
    indices: Sequence[float] | None = None,
) -> Flow:
    """Marginal tail-adaptive flow: a base of Student t's and normals, and maps that keep light and heavy apart.

    Dimensions come in the order of their tails, the lightest first. Splines move no number by more than they reach, and
    the triangular linear maps give each dimension a part in itself and in lighter ones, so each is a linear combination
    of independent base dimensions, of which it is the heaviest, and of something bounded: it has the base's tail index.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many pairs of an autoregressive layer of splines and a triangular linear map.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.
        bins: the pieces of each spline.
        bound: how far the splines reach, in scales of the data.
        indices: the tail index of each dimension, ``inf`` for a light tail, where training starts from, as
            ``pf.diagnostics.tail_index`` estimates them; by default 5 for all.

    Raises:
        UsageError: if an option does not fit.

    Source: Laszkiewicz, Lederer, Fischer (2022), Marginal tail-adaptive normalizing flows, arXiv:2206.10311; Jaini,
    Kobyzev, Yu, Brubaker (2020), arXiv:1907.04481.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.mtaf(features=2, indices=[2.0, float("inf")])
        >>> flow.base.degrees().tolist()  # the light dimension comes first
        [inf, 2.0]
    """
    given = conditioning(context, embedding)
    starts = [START_INDEX] * features if indices is None else [float(index) for index in indices]
    if len(starts) != features:
        raise UsageError(f"mtaf expects a tail index for each of {features} features, got {starts}")
    order = sorted(range(features), key=lambda dimension: -starts[dimension])
    there = torch.arange(features)
    parts: list[Transform] = [Permutation(torch.tensor(order))]
    network = partial(MADE, hidden=widths(hidden))
    for layer in range(layers):
        turn = there if layer % 2 == 0 else there.flip(0)
        splines = Autoregressive(features, RationalQuadraticSpline(bins, bound), network, given.taken, turn)
        parts += [splines, Triangular(features)]
    return vector_flow(features, parts, given, MarginalTails([starts[i] for i in order]))
