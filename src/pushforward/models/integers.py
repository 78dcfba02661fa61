"""Recipes for integers: integer discrete flows, and conditional bases from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from pushforward.distributions.discrete.integers import GroupedDiscrete
from pushforward.flows.flow import Flow
from pushforward.models.bases import CoarseToFine, balanced, bounded_mixture, widths_by_scale
from pushforward.models.contexts import conditioning
from pushforward.models.images.architecture import MNIST, image_shape
from pushforward.models.registry import model
from pushforward.networks import DenseMLP, Rezeroed
from pushforward.networks.context import Context
from pushforward.scalar import CyclicShift
from pushforward.transforms import Integers, Transform, flip, multipartite


@model("idf")
def idf(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int | Sequence[int] = (24, 32),
    blocks: int = 3,
    coupling_hidden: int = 16,
    last_hidden: int = 32,
    last_groups: int = 7,
    smallest: int = 2,
    components: int = 5,
    dropout: float = 0.0,
    shift_unit: float = 1.0,
) -> Flow:
    """Integer discrete flow: couplings by whole numbers at several scales, with conditional bases.

    The couplings stand in front of what ``coarse-to-fine`` is, at each scale: they add rounded shifts modulo
    ``levels`` to four parts of the channels in turn, and start as the identity (rezero).

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: couplings at each scale.
        hidden: channels that a block of a base's network adds, at each scale; the last holds for all further scales.
        blocks: depth of each network.
        coupling_hidden: the same as ``hidden`` for the couplings' networks.
        last_hidden: the same for the networks of the smallest scale.
        last_groups: in how many steps the values of the smallest scale are coded, one after the other.
        smallest: a plane with a side of at most this is not squeezed further.
        components: discretized logistics in each mixture.
        dropout: of the networks, in training.
        shift_unit: the order of magnitude of the couplings' shifts.

    Raises:
        UsageError: if an option does not fit.

    Source: Hoogeboom, Peters, van den Berg, Welling (2019), arXiv:1905.07376; Tomczak (2020), arXiv:2011.15056 (four
    parts); van den Berg, Gritsenko, Dehghani, Sønderby, Salimans (2021), arXiv:2006.12459 (rezero).

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.idf(shape=(1, 4, 4), levels=4, layers=1, hidden=[4], blocks=1)
        >>> x = torch.randint(4, (3, 1, 4, 4))
        >>> bool((flow.decode(flow.encode(x)) == x).all())
        True
    """
    given = conditioning(context, embedding, levels / 2, levels / 2)
    bases = CoarseToFine(
        levels, given, widths_by_scale(hidden), blocks, last_hidden, last_groups, smallest, components, dropout
    )
    network, shift = Rezeroed(bases.network(coupling_hidden)), CyclicShift(levels, unit=shift_unit)

    def couplings(event: torch.Size) -> list[Transform]:
        return [multipartite(event, 4, shift, network, given.taken) for _ in range(layers)]

    return bases.flow(image_shape(shape), couplings)


@model("coarse-to-fine")
def coarse_to_fine(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    hidden: int | Sequence[int] = (24, 32),
    blocks: int = 3,
    last_hidden: int = 32,
    last_groups: int = 7,
    smallest: int = 2,
    components: int = 5,
    dropout: float = 0.0,
) -> Flow:
    """Conditional bases from coarse to fine, for lossless compression: of images of few levels the smallest files.

    At each scale the image is squeezed, and three of every four channels are split off into a base that takes them one
    by one, each given the kept part and those before it. A plane is squeezed while both sides are even and longer than
    ``smallest``; what is left is coded value by value, from coarse to fine. Without the couplings of ``idf`` it
    measured best where values are few or nearly binary (scikit-learn's digits: 1.89 bits/dim, and 2.2 with one coupling
    a scale), as the gradients of rounded shifts are too coarse there.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        hidden: channels that a block of a network adds, at each scale; the last holds for all further scales.
        blocks: depth of each network.
        last_hidden: the same as ``hidden`` for the networks of the smallest scale.
        last_groups: in how many steps the values of the smallest scale are coded, one after the other.
        smallest: a plane with a side of at most this is not squeezed further.
        components: discretized logistics in each mixture.
        dropout: of the networks, in training.

    Raises:
        UsageError: if an option does not fit.

    Source: Reed et al. (2017), arXiv:1703.03664; the bases of Hoogeboom, Peters, van den Berg, Welling (2019),
    arXiv:1905.07376.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1)
        >>> flow.bits_per_dim(torch.randint(4, (3, 1, 4, 4))).shape
        torch.Size([3])
    """
    given = conditioning(context, embedding, levels / 2, levels / 2)
    bases = CoarseToFine(
        levels, given, widths_by_scale(hidden), blocks, last_hidden, last_groups, smallest, components, dropout
    )
    return bases.flow(image_shape(shape), lambda event: [])


@model("idf-vector", layers=0)
def idf_vector(
    features: int = 8,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 2,
    hidden: int = 64,
    blocks: int = 2,
    components: int = 5,
    groups: int = 4,
    shift_unit: float = 1.0,
) -> Flow:
    """Integer discrete flow for vectors: couplings in four parts by whole numbers and a base in groups.

    Args:
        features: the number of dimensions.
        levels: how many values a dimension takes.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: couplings, with a reversal of the order before each.
        hidden: features that a block of a network adds.
        blocks: depth of each network.
        components: discretized logistics in each mixture.
        groups: how many groups of dimensions the base takes one after the other; 1 for independent dimensions.
        shift_unit: the order of magnitude of the couplings' shifts.

    Raises:
        UsageError: if an option does not fit.

    Source: Hoogeboom, Peters, van den Berg, Welling (2019), arXiv:1905.07376; Tomczak (2020), arXiv:2011.15056.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.idf_vector(features=3, levels=4, hidden=8)
        >>> flow.log_prob(torch.tensor([[0, 1, 2], [0, 1, 4]])).isinf()
        tensor([False,  True])
    """
    half = levels / 2
    given = conditioning(context, embedding, half, half)
    network = partial(DenseMLP, hidden=hidden, blocks=blocks, center=half, unit=half)
    shift = CyclicShift(levels, unit=shift_unit)
    parts: list[Transform] = [Integers(levels)]
    for _ in range(layers if features > 1 else 0):
        coupling = multipartite((features,), min(4, features), shift, Rezeroed(network), given.taken)
        parts += [flip(features), coupling]
    mass = bounded_mixture(levels, components)
    return given.flow(parts, GroupedDiscrete(mass, (features,), balanced(features, groups), network, given.taken))
