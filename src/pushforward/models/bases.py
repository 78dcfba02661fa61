"""The bases of the recipes of integers: mixtures of discretized logistics, conditional from coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from pushforward.distributions import Distribution
from pushforward.distributions.discrete.discretized_logistic import DiscretizedLogisticMixture
from pushforward.distributions.discrete.integers import GroupedDiscrete
from pushforward.errors import UsageError
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning
from pushforward.networks import DenseNet
from pushforward.networks.context import image_with
from pushforward.transforms import Integers, Interlace, Permutation, Squeeze, Transform

Layers = Callable[[torch.Size], list[Transform]]
"""What stands in front of a scale's base: the transforms of events of a shape."""


@dataclass(frozen=True)
class CoarseToFine:
    """Bases at every scale of an image, each given what is left of it at the next.

    Attributes:
        levels, components: of the mixtures of discretized logistics.
        given: the context.
        hidden: channels that a network's block adds, at each scale; the last holds for all further scales.
        blocks, dropout: of the networks.
        last_hidden: channels that a block adds at the smallest scale.
        last_groups: in how many steps the smallest scale is coded.
        smallest: a plane with a side of at most this is not squeezed further.
    """

    levels: int
    given: Conditioning
    hidden: Sequence[int]
    blocks: int
    last_hidden: int
    last_groups: int
    smallest: int
    components: int
    dropout: float

    def flow(self, shape: torch.Size, layers: Layers) -> Flow:
        """The flow of these bases on images, with ``layers`` in front of each scale's."""
        transforms, base = self._scale(shape, 0, layers)
        return self.given.flow([Integers(self.levels, event_dims=3), *transforms], base)

    def network(self, hidden: int, kernel: int = 3) -> Callable[..., nn.Module]:
        """A factory of the networks of the bases, which see numbers of the levels' order of magnitude."""
        half = self.levels / 2
        return partial(
            DenseNet, hidden=hidden, blocks=self.blocks, dropout=self.dropout, kernel=kernel, center=half, unit=half
        )

    def _scale(self, event: torch.Size, index: int, layers: Layers) -> tuple[list[Transform], Distribution]:
        if event[1] % 2 or event[2] % 2 or min(event[1:]) <= self.smallest:
            return self._coarsest(event)
        squeezed = Squeeze().forward_shape(event)
        kept = torch.Size([event[0], *squeezed[1:]])
        network = self.network(self.hidden[min(index, len(self.hidden) - 1)])
        one_by_one, seen = [1] * (3 * event[0]), image_with(self.given.taken, kept)
        mixture = bounded_mixture(self.levels, self.components)
        split = GroupedDiscrete(mixture, (3 * event[0], *squeezed[1:]), one_by_one, network, seen)
        rest = Flow(*self._scale(kept, index + 1, layers))
        transforms = [Squeeze(), _coarse_first(event[0]), *layers(squeezed)]
        return transforms, FactorOut(split, rest, self.given.taken)

    def _coarsest(self, event: torch.Size) -> tuple[list[Transform], Distribution]:
        interlace = Interlace(event)
        groups = balanced(event.numel(), self.last_groups)
        mixture = bounded_mixture(self.levels, self.components)
        network = self.network(self.last_hidden, kernel=1)
        return [interlace], GroupedDiscrete(mixture, interlace.forward_shape(event), groups, network, self.given.taken)


def widths_by_scale(hidden: int | Sequence[int]) -> Sequence[int]:
    """The width at each scale, one number for all."""
    widths = (hidden,) if isinstance(hidden, int) else hidden
    if not widths:
        raise UsageError("expected hidden= of one width at least, for the first scale and all others, got none")
    return widths


def bounded_mixture(levels: int, components: int) -> DiscretizedLogisticMixture:
    """A mixture of discretized logistics on ``0 ... levels - 1``, spread over them at the start."""
    half = levels / 2
    return DiscretizedLogisticMixture(components, center=half, unit=half / 2, low=0, high=levels - 1, min_log_scale=-3)


def balanced(values: int, groups: int) -> list[int]:
    """The sizes of ``groups`` groups (or fewer, none empty) of about the same size.

    Example:
        >>> balanced(10, 4), balanced(2, 4)
        ([3, 3, 2, 2], [1, 1])
    """
    count = min(values, groups)
    return [values // count + (index < values % count) for index in range(count)]


def _coarse_first(channels: int) -> Permutation:
    """Of the four pixels that a squeeze puts together, the top left, bottom right, top right, bottom left."""
    order = torch.tensor([0, 3, 1, 2])[:, None] * channels + torch.arange(channels)
    return Permutation(order.flatten(), event_dims=3)
