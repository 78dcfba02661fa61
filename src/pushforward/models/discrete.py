"""Recipes for flows on integers and categories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from pushforward.distributions import Distribution, StandardLogistic
from pushforward.distributions.discrete.discretized_logistic import DiscretizedLogisticMixture
from pushforward.distributions.discrete.integers import GroupedDiscrete
from pushforward.distributions.discrete.one_hot import FromOneHot, OneHotAutoregressiveCategorical, OneHotCategorical
from pushforward.errors import UsageError
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.models.registry import model
from pushforward.networks import MLP, DenseMLP, DenseNet, NetworkFactory, Rezeroed
from pushforward.networks.context import Context, image_with
from pushforward.scalar import CyclicShift, MixtureCDF, ModularAffine
from pushforward.transforms import (
    ActNorm,
    CategoricalEncoding,
    Coupling,
    Integers,
    Interlace,
    Multipartite,
    OneHotAutoregressive,
    Permutation,
    Squeeze,
    Transform,
    flip,
    masks,
    multipartite,
)


@model("idf", layers=0)
def idf(
    shape: Sequence[int] = (1, 28, 28),
    levels: int = 256,
    context: Context = 0,
    layers: int = 0,
    hidden: int | Sequence[int] = (24, 32),
    depth: int = 3,
    coupling_hidden: int = 16,
    last_hidden: int = 32,
    last_groups: int = 7,
    smallest: int = 2,
    components: int = 5,
    dropout: float = 0.0,
    shift_unit: float = 1.0,
) -> Flow:
    """Integer discrete flow with conditional bases from coarse to fine, for lossless compression.

    At each scale: squeeze, couplings in four parts by whole numbers (modulo ``levels``), then three of every four
    channels are split off into a base that takes them one by one, each given the kept part and those before it. A
    plane is squeezed while both sides are even and longer than ``smallest``; what is left is coded value by value, from
    coarse to fine.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: channels of a conditioning image or features of a conditioning vector, of the data's order of
            magnitude (0 to ``levels - 1``), as the networks scale it with the data.
        layers: couplings at each scale. None measured best where values are few or nearly binary (scikit-learn's
            digits: 1.89 bits/dim without, 2.2 with one a scale): the rounded shifts' gradients are too coarse there.
        hidden: channels that a layer of a base's network adds, at each scale; the last holds for all further scales.
        depth: layers of each network.
        coupling_hidden: the same as ``hidden`` for the couplings' networks.
        last_hidden: the same for the networks of the smallest scale.
        last_groups: in how many steps the values of the smallest scale are coded, one after the other.
        smallest: a plane with a side of at most this is not squeezed further.
        components: discretized logistics in each mixture.
        dropout: of the networks, in training.
        shift_unit: the order of magnitude of the couplings' shifts.

    Source: Hoogeboom et al. 2019, arXiv:1905.07376; Tomczak 2020, arXiv:2011.15056 (four parts); van den Berg et al.
    2021, arXiv:2006.12459 (rezero); Reed et al. 2017, arXiv:1703.03664 (coarse to fine).
    """
    hidden = (hidden,) if isinstance(hidden, int) else hidden
    if len(shape) != 3 or min(shape) < 1 or not hidden:
        raise UsageError(f"idf expects shape=(channels, height, width) and a width in hidden, got {shape}, {hidden}")
    half = levels / 2
    mass = _bounded_mixture(levels, components)
    dense = partial(DenseNet, depth=depth, dropout=dropout, center=half, unit=half)
    shift = CyclicShift(levels, unit=shift_unit)

    def coupling(event: torch.Size) -> list[Transform]:
        network = _rezero(partial(dense, hidden=coupling_hidden))
        return [multipartite(event, 4, shift, network, context) for _ in range(layers)]

    def coarsest(event: torch.Size) -> Flow:
        interlace = Interlace(event)
        groups = _balanced(event.numel(), last_groups)
        network = partial(dense, hidden=last_hidden, kernel=1)
        base = GroupedDiscrete(mass, interlace.forward_shape(event), groups, network, context)
        return Flow([interlace], base)

    def scale(event: torch.Size, index: int) -> Flow:
        if event[1] % 2 or event[2] % 2 or min(event[1:]) <= smallest:
            return coarsest(event)
        squeezed = Squeeze().forward_shape(event)
        kept = torch.Size([event[0], *squeezed[1:]])
        network = partial(dense, hidden=hidden[min(index, len(hidden) - 1)])
        ones, given = [1] * (3 * event[0]), image_with(context, kept)
        split = GroupedDiscrete(mass, (3 * event[0], *squeezed[1:]), ones, network, given)
        rest = FactorOut(split, scale(kept, index + 1), context)
        return Flow([Squeeze(), _coarse_first(event[0]), *coupling(squeezed)], rest)

    rest = scale(torch.Size(shape), 0)
    return Flow([Integers(levels, event_dims=3), *rest.transform], rest.base)  # type: ignore[misc]


@model("idf-vector", layers=0)
def idf_vector(
    features: int = 8,
    levels: int = 256,
    context: Context = 0,
    layers: int = 2,
    hidden: int = 64,
    depth: int = 2,
    components: int = 5,
    groups: int = 4,
    shift_unit: float = 1.0,
) -> Flow:
    """Integer discrete flow for vectors: couplings in four parts by whole numbers and a base in groups.

    Args:
        features: the number of dimensions.
        levels: how many values a dimension takes.
        context: features of a conditioning vector, of the data's order of magnitude as well.
        layers: couplings, with a reversal of the order before each.
        hidden: features that a layer of a network adds.
        depth: layers of each network.
        components: discretized logistics in each mixture.
        groups: how many groups of dimensions the base takes one after the other; 1 for independent dimensions.
        shift_unit: the order of magnitude of the couplings' shifts.

    Source: Hoogeboom et al. 2019, arXiv:1905.07376; Tomczak 2020, arXiv:2011.15056.
    """
    if features < 1 or groups < 1:
        raise UsageError(f"idf-vector expects at least one feature and one group, got {features} and {groups}")
    half = levels / 2
    mass = _bounded_mixture(levels, components)
    network = partial(DenseMLP, hidden=hidden, depth=depth, center=half, unit=half)
    shift = CyclicShift(levels, unit=shift_unit)
    parts: list[Transform] = [Integers(levels)]
    for _ in range(layers if features > 1 else 0):
        parts += [flip(features), multipartite((features,), min(4, features), shift, _rezero(network), context)]
    base = GroupedDiscrete(mass, (features,), _balanced(features, groups), network, context)
    return Flow(parts, base)


@model("discrete-flow", layers=0)
def discrete_flow(
    features: int = 2,
    classes: int = 2,
    context: Context = 0,
    layers: int = 2,
    hidden: int | Sequence[int] = (64, 64),
    autoregressive: bool = False,
) -> Flow:
    """Discrete flow of categories: modular location-scale maps, in two parts or autoregressive.

    In two parts the base is independent; autoregressive, the base is autoregressive too, in the opposite order.

    Args:
        features: the number of variables.
        classes: the number of categories ``K`` of each, up to 256 or so.
        context: features of a conditioning vector.
        layers: how many maps; in two parts they take turns in what they change.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        autoregressive: whether the maps are autoregressive instead of in two parts.

    Source: Tran, Vafa, Agrawal, Dinh, Poole 2019, arXiv:1905.10347.
    """
    if features < 2 or classes < 2:
        raise UsageError(f"discrete-flow expects at least 2 features and 2 classes, got {features} and {classes}")
    operation = ModularAffine(classes)
    hidden = (hidden, hidden) if isinstance(hidden, int) else hidden
    base: Distribution
    if autoregressive:
        parts: list[Transform] = [
            OneHotAutoregressive(features, operation, context, hidden=hidden) for _ in range(layers)
        ]
        backwards = list(reversed(range(features)))
        base = OneHotAutoregressiveCategorical(features, classes, context, hidden=hidden, order=backwards)
    else:
        parts = [_categories_in_two(features, operation, hidden, context, index) for index in range(layers)]
        base = OneHotCategorical(features, classes)
    inner = Flow(parts, base) if parts else base
    return Flow([Integers(classes)], FromOneHot(inner))


@model("categorical-flow", layers=0)
def categorical_flow(
    features: int = 2,
    classes: int = 2,
    context: Context = 0,
    dimensions: int = 2,
    layers: int = 4,
    hidden: int | Sequence[int] = (64, 64),
) -> Flow:
    """Categorical normalizing flow: a learned random code for each category, and a continuous flow of the codes.

    Args:
        features: the number of variables.
        classes: the number of categories of each.
        context: features of a conditioning vector.
        dimensions: the dimensions of each variable's code.
        layers: couplings, each a mixture of logistic CDFs behind a permutation.
        hidden: widths of the networks' hidden layers; one number stands for two layers.

    Source: Lippe, Gavves 2021, arXiv:2006.09790.
    """
    width = features * dimensions
    if width < 2:
        raise UsageError(f"categorical-flow expects at least 2 dimensions in all, got {width}: raise dimensions")
    hidden = (hidden, hidden) if isinstance(hidden, int) else hidden
    parts: list[Transform] = [CategoricalEncoding(features, classes, dimensions)]
    for index in range(layers):
        mask = masks.alternating(width)
        coupling = Coupling(mask if index % 2 else ~mask, MixtureCDF(), partial(MLP, hidden=hidden), context)
        parts += [ActNorm(width), coupling]
    return Flow(parts, StandardLogistic((width,)))


def _balanced(values: int, groups: int) -> list[int]:
    """The sizes of ``groups`` groups (or fewer, none empty) of about the same size."""
    count = min(values, groups)
    return [values // count + (index < values % count) for index in range(count)]


def _bounded_mixture(levels: int, components: int) -> DiscretizedLogisticMixture:
    half = levels / 2
    return DiscretizedLogisticMixture(components, center=half, unit=half / 2, low=0, high=levels - 1, min_log_scale=-3)


def _categories_in_two(
    features: int, operation: ModularAffine, hidden: Sequence[int], context: Context, index: int
) -> Transform:
    """One part decides about the other; which is which alternates."""
    kept = features // 2
    operations = (operation, None) if index % 2 else (None, operation)
    parts = (kept, features - kept)
    return Multipartite((features, operation.classes), parts, operations, partial(MLP, hidden=hidden), context)


def _coarse_first(channels: int) -> Permutation:
    """Of the four pixels that a squeeze puts together, the top left, bottom right, top right, bottom left."""
    order = torch.tensor([0, 3, 1, 2])[:, None] * channels + torch.arange(channels)
    return Permutation(order.flatten(), event_dims=3)


def _rezero(network: NetworkFactory) -> NetworkFactory:
    return Rezeroed(network)
