"""From a trained integer flow to its portable form: every part of the flow becomes its part in exact arithmetic."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor, nn

from pushforward.codec.exact.fixedpoint import IntegerConv, IntegerDenseNet, quantise
from pushforward.codec.exact.masses import IntegerCategorical, IntegerLogisticMixture, IntegerMass, window
from pushforward.codec.exact.portable import (
    IntegerBase,
    IntegerFactorOut,
    IntegerFlow,
    IntegerGroups,
    IntegerParts,
    IntegerShift,
    IntegerTransform,
    PortableFlow,
    Reorder,
)
from pushforward.codec.exact.state import assemble
from pushforward.codec.exact.tables import FRACTION_BITS
from pushforward.distributions.base import Distribution
from pushforward.distributions.discrete.categorical import CategoricalMass
from pushforward.distributions.discrete.discretized_logistic import DiscretizedLogisticMixture
from pushforward.distributions.discrete.integers import Discrete, GroupedDiscrete
from pushforward.distributions.discrete.mass import MassFunction
from pushforward.errors import UsageError
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.networks.dense import DenseMLP, DenseNet, ReZero
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.rounded_shift import CyclicShift, RoundedShift
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain
from pushforward.transforms.coupling.coupling import Coupling
from pushforward.transforms.coupling.parts import Multipartite
from pushforward.transforms.coupling.split import IndexPartition
from pushforward.transforms.linear.permutation import Permutation
from pushforward.transforms.reshape.interlace import Interlace
from pushforward.transforms.reshape.squeeze import Squeeze
from pushforward.transforms.surjections.integers import Integers


def export(flow: Distribution) -> PortableFlow:
    """Round a trained flow on integers to its portable form.

    The result depends on the weights alone: no data are needed, and the same weights give the same fingerprint.

    Raises:
        UsageError: if the flow has a part that has no exact form, or does not say how many levels its data have.

    Example:
        >>> import pushforward as pf
        >>> model = export(pf.build("idf", shape=(1, 4, 4), levels=4, hidden=[4], depth=1))
        >>> model.event_shape, model.low, model.high
        ((1, 4, 4), 0, 3)
    """
    levels = next((part.levels for part in flow.modules() if isinstance(part, Integers)), None)
    if levels is None:
        raise UsageError("export expects a flow on integers whose first part is Integers(levels), such as idf")
    with torch.no_grad():
        return assemble(_base(flow, flow.event_shape, levels, 0), tuple(flow.event_shape), 0, levels - 1)


def _base(base: Distribution, shape: torch.Size, levels: int, context: int) -> IntegerBase:
    """``context`` is how many channels the part before this one hands on."""
    if isinstance(base, Flow):
        chain = list(base.transform) if isinstance(base.transform, Chain) else [base.transform]
        transforms: list[IntegerTransform] = []
        for part in chain:
            transforms += _transform(part, shape)
            shape = part.forward_shape(shape)
        return IntegerFlow(_merged(transforms), _base(base.base, shape, levels, context))
    if isinstance(base, FactorOut):
        return IntegerFactorOut(
            base.kept,
            _base(base.split, base.split.event_shape, levels, base.kept),
            _base(base.rest, base.rest.event_shape, levels, 0),
        )
    if isinstance(base, GroupedDiscrete):
        if base.context > context:
            raise _conditional()
        networks = [None if isinstance(network, nn.Identity) else _network(network) for network in base.networks]
        biases = [
            _positions(bias.unflatten(0, (group, -1)).movedim(1, -1)) for bias, group in zip(base.biases, base.groups)
        ]
        return IntegerGroups(_mass(base.mass, levels), base.groups, networks, biases)
    if isinstance(base, Discrete):
        bias = _positions(base.parameters_per_element)
        return IntegerGroups(_mass(base.mass, levels), (bias.shape[2],), [None], [bias])
    raise _unknown(base)


def _positions(bias: Tensor) -> Tensor:
    """Parameters (channels, H, W, P) or (features, P) as fixed-point (H, W, channels, P)."""
    images = bias[:, None, None] if bias.dim() == 2 else bias
    return quantise(images.permute(1, 2, 0, 3)).contiguous()


def _transform(part: Transform, shape: torch.Size) -> list[IntegerTransform]:
    if isinstance(part, Integers):
        return []
    if isinstance(part, Permutation | Squeeze | Interlace):
        return [reordering(part, shape)]
    if isinstance(part, Multipartite) and part.event_dims in (1, 3) and len(part.event_shape) != 2:
        return [
            IntegerParts(
                part.parts,
                [_shift(*pair) for pair in zip(part.operations, part.networks)],
                [_shift(*pair) for pair in zip(part.first_operations, part.first_networks)],
            )
        ]
    if isinstance(part, Coupling) and isinstance(part.partition, IndexPartition):
        split = part.partition
        order = torch.cat([split.kept.index, split.rest.index])  # type: ignore[list-item]
        gather = reordering(Permutation(order.cpu(), part.event_dims), shape)
        shift = _shift(part.scalar, part.network)
        parts = IntegerParts((split.inputs, split.outputs), [None, shift], [None, None])
        return [gather, parts, Reorder(torch.argsort(gather.order), gather.after, gather.before)]
    raise _unknown(part)


def reordering(part: Transform, shape: torch.Size) -> Reorder:
    """Any transform that only moves elements, read off from what it does to their numbers."""
    numbers = torch.arange(shape.numel(), dtype=torch.float64).reshape(shape)
    moved = part.to("cpu")(numbers)[0]
    return Reorder(moved.flatten().round().long(), _as_image(shape), _as_image(moved.shape))


def _as_image(shape: torch.Size) -> tuple[int, ...]:
    return tuple(shape) if len(shape) == 3 else (*shape, 1, 1)


def _merged(transforms: list[IntegerTransform]) -> list[IntegerTransform]:
    """One reordering for each run of them."""
    merged: list[IntegerTransform] = []
    for part in transforms:
        last = merged[-1] if merged else None
        if isinstance(part, Reorder) and isinstance(last, Reorder):
            merged[-1] = Reorder(last.order[part.order], last.before, part.after)
        else:
            merged.append(part)
    return merged


def _shift(operation: ScalarBijection | None, network: nn.Module) -> IntegerShift | None:
    if operation is None:
        return None
    if getattr(network.network if isinstance(network, ReZero) else network, "context", 0):
        raise _conditional()
    if isinstance(operation, CyclicShift):
        return IntegerShift(_network(network), round(operation._shift.unit * 1024), operation.levels)
    if isinstance(operation, RoundedShift):
        return IntegerShift(_network(network), round(operation.unit * 1024), 0)
    raise _unknown(operation)


@singledispatch
def _mass(mass: MassFunction, levels: int) -> IntegerMass:
    raise _unknown(mass)


@_mass.register
def _(mass: CategoricalMass, levels: int) -> IntegerMass:
    return IntegerCategorical(mass.classes)


@_mass.register
def _(mass: DiscretizedLogisticMixture, levels: int) -> IntegerMass:
    count = mass.components
    offsets = [2.0 * k / (count - 1) - 1.0 for k in range(count)] if count > 1 else [0.0]
    middles = quantise(torch.tensor([mass.center + mass.unit * offset for offset in offsets], dtype=torch.float64))
    bounded = mass.low is not None and mass.high is not None
    # Shifts take latents out of the data's range; twice as wide a window leaves little to be escaped.
    low, high = (mass.low, mass.high) if bounded else (-(levels // 2) - 1, levels + levels // 2 + 1)
    first, depth = window(low, high)  # type: ignore[arg-type]
    return IntegerLogisticMixture(
        components=count,
        middles=middles,
        unit=round(mass.unit * 1024),
        log_unit=round(math.log(mass.unit) * 2**FRACTION_BITS),
        min_log_scale=round(mass.min_log_scale * 2**FRACTION_BITS),
        first=first,
        depth=depth,
        bounded=bounded,
        last=int(high),  # type: ignore[arg-type]
    )


@singledispatch
def _network(network: nn.Module) -> IntegerDenseNet:
    raise _unknown(network)


@_network.register(DenseNet)
@_network.register(DenseMLP)
def _(network: DenseNet | DenseMLP) -> IntegerDenseNet:
    return IntegerDenseNet(
        center=round(network.center * 2**FRACTION_BITS),
        multiplier=round(2**20 / network.unit),
        layers=[IntegerConv.from_float(layer.weight, layer.bias) for layer in network.layers],  # type: ignore[arg-type]
        last=IntegerConv.from_float(network.last.weight, network.last.bias),
    )


@_network.register
def _(network: ReZero) -> IntegerDenseNet:
    inner = network.network
    result = _network(inner)
    last = inner.last  # type: ignore[union-attr]
    bias = None if last.bias is None else network.alpha * last.bias  # type: ignore[union-attr, operator]
    result.last = IntegerConv.from_float(network.alpha * last.weight, bias)  # type: ignore[union-attr, operator]
    return result


def _conditional() -> UsageError:
    return UsageError(
        "export expects a flow without a context, got a conditional one: a file would not hold the context"
    )


def _unknown(part: object) -> UsageError:
    return UsageError(
        f"export expects parts that have an exact integer form (shifts, permutations, squeezes, factor-out, discrete "
        f"bases, DenseNet), got {type(part).__name__}: compress with the flow itself by local bits-back coding"
    )
