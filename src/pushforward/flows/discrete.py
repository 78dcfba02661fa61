"""Recipes for flows on integers and categories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from pushforward.distributions.discrete import GroupedDiscrete
from pushforward.distributions.discretized_logistic import DiscretizedLogisticMixture
from pushforward.errors import UsageError
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.flows.registry import register
from pushforward.networks.densenet import DenseNet, ReZero
from pushforward.networks.factory import NetworkFactory
from pushforward.scalar.rounded_shift import CyclicShift
from pushforward.transforms.integers import Integers
from pushforward.transforms.interlace import Interlace
from pushforward.transforms.multipartite import quadripartite
from pushforward.transforms.permutation import Permutation
from pushforward.transforms.squeeze import Squeeze
from pushforward.transforms.transform import Transform


@register("idf")
def idf(
    shape: Sequence[int] = (1, 28, 28),
    levels: int = 256,
    context: int = 0,
    layers: int = 1,
    hidden: Sequence[int] = (24, 32),
    depth: int = 3,
    coupling_hidden: int = 16,
    last_hidden: int = 32,
    last_group: int = 1,
    components: int = 5,
    dropout: float = 0.0,
    shift_unit: float = 1.0,
) -> Flow:
    """Integer discrete flow with conditional bases from coarse to fine, for lossless compression.

    At each scale: squeeze, couplings in four parts by whole numbers (modulo ``levels``), then three of every four
    channels are split off into a base that takes them one by one, each given the kept part and those before it. A
    plane is squeezed while both sides are even and longer than 4; what is left is coded from coarse to fine.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: channels of a conditioning image or features of a conditioning vector.
        layers: couplings at each scale.
        hidden: channels that a layer of a base's network adds, at each scale; the last holds for all further scales.
        depth: layers of each network.
        coupling_hidden: the same as ``hidden`` for the couplings' networks.
        last_hidden: the same for the networks of the smallest scale.
        last_group: how many values of the smallest scale are coded at once.
        components: discretized logistics in each mixture.
        dropout: of the networks, in training.
        shift_unit: the order of magnitude of the couplings' shifts.

    Source: Hoogeboom et al. 2019, arXiv:1905.07376; Tomczak 2020, arXiv:2011.15056 (four parts); van den Berg et al.
    2021, arXiv:2006.12459 (rezero); Reed et al. 2017, arXiv:1703.03664 (coarse to fine).
    """
    if len(shape) != 3 or min(shape) < 1 or not hidden:
        raise UsageError(f"idf expects shape=(channels, height, width) and a width in hidden, got {shape}, {hidden}")
    half = levels / 2
    mass = DiscretizedLogisticMixture(components, center=half, unit=half / 2, low=0, high=levels - 1, min_log_scale=-3)
    dense = partial(DenseNet, depth=depth, dropout=dropout, center=half, unit=half)
    shift = CyclicShift(levels, unit=shift_unit)

    def coupling(event: torch.Size) -> list[Transform]:
        network = _rezero(partial(dense, hidden=coupling_hidden))
        return [quadripartite(event, shift, network, context) for _ in range(layers)]

    def smallest(event: torch.Size) -> Flow:
        interlace = Interlace(event)
        values = event.numel()
        groups = [min(last_group, values - start) for start in range(0, values, last_group)]
        network = partial(dense, hidden=last_hidden, kernel=1)
        base = GroupedDiscrete(mass, interlace.forward_shape(event), groups, network, context)
        return Flow([interlace], base)

    def scale(event: torch.Size, index: int) -> Flow:
        if event[1] % 2 or event[2] % 2 or min(event[1:]) <= 4:
            return smallest(event)
        squeezed = Squeeze().forward_shape(event)
        kept = torch.Size([event[0], *squeezed[1:]])
        network = partial(dense, hidden=hidden[min(index, len(hidden) - 1)])
        split = GroupedDiscrete(mass, (3 * event[0], *squeezed[1:]), [1] * (3 * event[0]), network, event[0] + context)
        return Flow([Squeeze(), _coarse_first(event[0]), *coupling(squeezed)], FactorOut(split, scale(kept, index + 1)))

    rest = scale(torch.Size(shape), 0)
    return Flow([Integers(levels, event_dims=3), *rest.transform], rest.base)  # type: ignore[misc]


def _coarse_first(channels: int) -> Permutation:
    """Of the four pixels that a squeeze puts together, the top left, bottom right, top right, bottom left."""
    order = torch.tensor([0, 3, 1, 2])[:, None] * channels + torch.arange(channels)
    return Permutation(order.flatten(), event_dims=3)


def _rezero(network: NetworkFactory) -> NetworkFactory:
    return lambda inputs, outputs, context: ReZero(network(inputs, outputs, context))
