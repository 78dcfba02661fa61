"""From a trained integer flow to its portable form: every part of the flow becomes its part in exact arithmetic.

What a part becomes is registered by its class, so that parts of one's own can be exported too:

>>> import pushforward as pf
>>> class Swap(Transform):
...     \"\"\"The halves of a vector change places.\"\"\"
...     domain = codomain = spaces.Integers(0, 2, (4,))
...     def forward(self, x, context=None, generator=None):
...         return x.roll(x.shape[-1] // 2, -1), x.new_zeros(x.shape[:-1])
>>> @export_transform.register
... def _(part: Swap, place: Place) -> list[IntegerTransform]:
...     return [Reorder.from_transform(part, place.shape)]
>>> base = pf.distributions.Categorical((4,), 3)
>>> export(pf.Flow([pf.transforms.Integers(3), Swap()], base)).event_shape
(4,)

Besides :func:`export_transform` there are :func:`export_base`, :func:`pushforward.codec.exact.masses.export_mass`,
:func:`pushforward.codec.exact.conditioners.export_network` and
:func:`pushforward.codec.exact.conditioners.export_operation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import accumulate

import torch
from torch import Tensor, nn

from pushforward import spaces
from pushforward.codec.exact.bases import IntegerBase, IntegerFactorOut, IntegerFlow, IntegerGroups
from pushforward.codec.exact.conditioners import export_network_for, export_shift
from pushforward.codec.exact.fixedpoint import quantise
from pushforward.codec.exact.masses import export_mass
from pushforward.codec.exact.pixels import IntegerPixels, export_pixel_network
from pushforward.codec.exact.portable import PortableFlow
from pushforward.codec.exact.state import assemble
from pushforward.codec.exact.transforms import IntegerParts, IntegerTransform, Reorder
from pushforward.codec.registry import no_exact_form
from pushforward.distributions.autoregressive.pixels import PixelDistribution
from pushforward.distributions.base import Distribution
from pushforward.distributions.discrete.integers import Discrete, GroupedDiscrete
from pushforward.distributions.discrete.mass import MassFunction
from pushforward.errors import UsageError
from pushforward.flows.expected import require_flow
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain
from pushforward.transforms.coupling.coupling import Coupling
from pushforward.transforms.coupling.parts import Multipartite
from pushforward.transforms.coupling.split import IndexPartition
from pushforward.transforms.inverse import Inverse
from pushforward.transforms.linear.permutation import Permutation
from pushforward.transforms.reshape.interlace import Interlace
from pushforward.transforms.reshape.squeeze import Squeeze
from pushforward.transforms.surjections.integers import Integers


@dataclass(frozen=True)
class Place:
    """Where in a flow a part stands.

    Attributes:
        shape: the shape of the events that come in.
        levels: how many values the data take.
        context: how many channels (or features) of context the part is given, on the pixels that it sees.
    """

    shape: torch.Size
    levels: int
    context: int = 0

    def behind(self, part: Transform) -> Place:
        """The place behind a part; a context does not follow where the pixels become others."""
        shape = part.forward_shape(self.shape)
        return replace(self, shape=shape, context=self.context if shape[1:] == self.shape[1:] else 0)


def export(flow: Distribution) -> PortableFlow:
    """Round a trained flow on integers to its portable form.

    The flow may be any composition of parts that have an exact form, a recipe's or one's own. The result depends on
    the weights alone: no data are needed, and the same weights give the same fingerprint.

    Raises:
        UsageError: if the flow has a part that has no exact form, or does not say how many levels its data have.

    Example:
        >>> import pushforward as pf
        >>> model = export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))
        >>> model.event_shape, model.low, model.high
        ((1, 4, 4), 0, 3)
    """
    require_flow("export", flow)
    values = flow.support
    if flow.context is not None:
        raise UsageError("export expects a flow without a context: a file would not hold it")
    if not isinstance(values, spaces.Integers) or None in (values.low, values.high) or len(values.shape) not in (1, 3):
        raise UsageError(
            "export expects a flow on vectors or images of integers within bounds, such as one that begins with "
            f"Integers(levels), got one on {values}"
        )
    place = Place(flow.event_shape, int(values.count))  # type: ignore[arg-type]
    with torch.no_grad():
        return assemble(export_base(flow, place), tuple(flow.event_shape), int(values.low), int(values.high))  # type: ignore[arg-type]


@singledispatch
def export_transform(part: Transform, place: Place) -> list[IntegerTransform]:
    """Return the exact transforms that a part becomes. ``@export_transform.register`` adds a class.

    Raises:
        UsageError: if none is registered for the part's class.
    """
    raise no_exact_form(part, "exact.exporting.export_transform")


@singledispatch
def export_base(base: Distribution, place: Place) -> IntegerBase:
    """Return the exact form of a base. ``@export_base.register`` adds a class.

    Raises:
        UsageError: if none is registered for the base's class.
    """
    raise no_exact_form(base, "exact.exporting.export_base")


@export_transform.register
def _(part: Chain, place: Place) -> list[IntegerTransform]:
    transforms = []
    for inner in part:
        transforms += export_transform(inner, place)
        place = place.behind(inner)
    return transforms


@export_transform.register
def _(part: Inverse, place: Place) -> list[IntegerTransform]:
    steps = export_transform(part.transform, place.behind(part))
    return [turned for step in reversed(steps) for turned in step.turned()]


@export_transform.register
def _(part: Integers, place: Place) -> list[IntegerTransform]:
    return []


@export_transform.register(Permutation)
@export_transform.register(Squeeze)
@export_transform.register(Interlace)
def _(part: Transform, place: Place) -> list[IntegerTransform]:
    return [Reorder.from_transform(part, place.shape)]


@export_transform.register
def _(part: Multipartite, place: Place) -> list[IntegerTransform]:
    if len(part.event_shape) not in (1, 3):
        raise no_exact_form(part, "exact.exporting.export_transform")
    total, before = sum(part.parts), accumulate(part.parts, initial=0)
    return [
        IntegerParts(
            part.parts,
            [
                export_shift(operation, network, total - size, place.context)
                for operation, network, size in zip(part.operations, part.networks, part.parts)
            ],
            [
                export_shift(operation, network, start, place.context)
                for operation, network, start in zip(part.first_operations, part.first_networks, before)
            ],
        )
    ]


@export_transform.register
def _(part: Coupling, place: Place) -> list[IntegerTransform]:
    split = part.partition
    if not isinstance(split, IndexPartition):
        raise UsageError(
            "export expects couplings of whole channels or features, got a mask in the image plane: squeeze first and "
            "split the channels"
        )
    order = torch.cat([split.kept.index, split.rest.index])  # type: ignore[list-item]
    gather = Reorder.from_transform(Permutation(order.cpu(), part.event_dims), place.shape)
    shift = export_shift(part.scalar, part.network, split.inputs, place.context)
    return [gather, IntegerParts((split.inputs, split.outputs), [None, shift], [None, None]), *gather.turned()]


@export_base.register
def _(base: Flow, place: Place) -> IntegerBase:
    transforms = _merged(export_transform(base.transform, place))
    return IntegerFlow(transforms, export_base(base.base, place.behind(base.transform)))


def _merged(transforms: list[IntegerTransform]) -> list[IntegerTransform]:
    """One reordering for each run of them."""
    merged: list[IntegerTransform] = []
    for part in transforms:
        last = merged[-1] if merged else None
        if isinstance(part, Reorder) and isinstance(last, Reorder):
            merged[-1] = last.then(part)
        else:
            merged.append(part)
    return merged


@export_base.register
def _(base: FactorOut, place: Place) -> IntegerBase:
    context = 0 if base.context is None else place.context
    split = Place(base.split.event_shape, place.levels, base.kept + context)
    rest = replace(place, shape=base.rest.event_shape)
    return IntegerFactorOut(base.kept, export_base(base.split, split), export_base(base.rest, rest))


@export_base.register
def _(base: GroupedDiscrete, place: Place) -> IntegerBase:
    networks = [
        None if isinstance(network, nn.Identity) else export_network_for(network, start, place.context)
        for network, (start, _) in zip(base.networks, base.bounds)
    ]
    biases = [
        _positions(bias.unflatten(0, (group, -1)).movedim(1, -1)) for bias, group in zip(base.biases, base.groups)
    ]
    return IntegerGroups(export_mass(base.mass, place.levels), base.groups, networks, biases)


@export_base.register
def _(base: Discrete, place: Place) -> IntegerBase:
    bias = _positions(base.parameters_per_element)
    return IntegerGroups(export_mass(base.mass, place.levels), (bias.shape[2],), [None], [bias])


@export_base.register
def _(base: PixelDistribution, place: Place) -> IntegerBase:
    if base.context is not None or not isinstance(base.conditional, MassFunction):
        raise no_exact_form(base, "exact.exporting.export_base")
    channels, height, width = base.event_shape
    network = export_pixel_network(base.network, height, width)
    return IntegerPixels(export_mass(base.conditional, place.levels), network, (channels, height, width))


def _positions(bias: Tensor) -> Tensor:
    """Parameters (channels, H, W, P) or (features, P) as fixed-point (H, W, channels, P)."""
    images = bias[:, None, None] if bias.dim() == 2 else bias
    return quantise(images.permute(1, 2, 0, 3)).contiguous()
