"""The networks of a flow and the shifts that they decide, from floating point to exact arithmetic."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.codec.exact.fixedpoint import IntegerConv, IntegerDenseNet
from pushforward.codec.exact.tables import FRACTION_BITS
from pushforward.codec.exact.transforms import IntegerShift
from pushforward.codec.registry import no_exact_form
from pushforward.errors import UsageError
from pushforward.networks.dense import DenseMLP, DenseNet, ReZero
from pushforward.networks.factory import Joined
from pushforward.networks.mlp import MLP
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.rounded_shift import CyclicShift, RoundedShift

NO_UNIT = 2**20
"""What a network's input is multiplied by, in multiples of 2^-20, where it has no unit of its own."""


@singledispatch
def export_network(network: nn.Module) -> IntegerDenseNet:
    """Return the exact form of a network: anything made of linear layers or convolutions (stride 1, zero padding) and
    ReLU. ``@export_network.register`` adds a class.

    Raises:
        UsageError: if none is registered for the network's class, or a layer has no exact form.
    """
    raise no_exact_form(network, "exact.conditioners.export_network")


@singledispatch
def export_operation(operation: ScalarBijection, network: IntegerDenseNet) -> IntegerShift:
    """Return the exact form of a bijection of the integers whose parameters the network emits.
    ``@export_operation.register`` adds a class.

    Raises:
        UsageError: if none is registered for the bijection's class.
    """
    raise no_exact_form(operation, "exact.conditioners.export_operation")


def export_shift(
    operation: ScalarBijection | None, network: nn.Module, inputs: int, context: int
) -> IntegerShift | None:
    """Return the shift of one part of an event, None where it is left as it is.

    Raises:
        UsageError: if the operation or the network has no exact form, or expects more of a context than there is.
    """
    if operation is None:
        return None
    return export_operation(operation, export_network_for(network, inputs, context))


def export_network_for(network: nn.Module, inputs: int, context: int) -> IntegerDenseNet:
    """Return the exact form of a network that is given ``inputs`` channels and a context of ``context`` channels, or
    does without that.

    Raises:
        UsageError: if it has no exact form, or takes another number of channels.
    """
    exact = export_network(network)
    if exact.inputs not in (inputs, inputs + context):
        raise UsageError(
            f"export expects networks that see the event alone, got {type(network).__name__}, which takes "
            f"{exact.inputs} channels where there are {inputs} (and {context} of a part kept): a flow with a context "
            f"cannot be exported, as a file would not hold the context"
        )
    return exact


@export_operation.register
def _(operation: RoundedShift, network: IntegerDenseNet) -> IntegerShift:
    return IntegerShift(network, round(operation.unit * 1024), 0)


@export_operation.register
def _(operation: CyclicShift, network: IntegerDenseNet) -> IntegerShift:
    return IntegerShift(network, round(operation._shift.unit * 1024), operation.levels)


@export_network.register(DenseNet)
@export_network.register(DenseMLP)
def _(network: DenseNet | DenseMLP) -> IntegerDenseNet:
    return IntegerDenseNet(
        center=round(network.center * 2**FRACTION_BITS),
        multiplier=round(NO_UNIT / network.unit),
        layers=[IntegerConv.from_float(layer.weight, layer.bias) for layer in network.layers],  # type: ignore[arg-type]
        last=IntegerConv.from_float(network.last.weight, network.last.bias),
    )


@export_network.register
def _(network: ReZero) -> IntegerDenseNet:
    result = export_network(network.network)
    *_, last = (layer for layer in network.network.modules() if isinstance(layer, nn.Linear | nn.Conv2d))
    bias = None if last.bias is None else network.alpha * last.bias
    result.last = _padded_layer(network.alpha * last.weight, bias, result.last.inputs)
    return result


@export_network.register
def _(network: MLP) -> IntegerDenseNet:
    return export_network(network.layers)


@export_network.register
def _(network: Joined) -> IntegerDenseNet:
    return export_network(network.module)


@export_network.register(nn.Linear)
@export_network.register(nn.Conv2d)
def _(network: nn.Module) -> IntegerDenseNet:
    return export_network(nn.Sequential(network))


@export_network.register
def _(network: nn.Sequential) -> IntegerDenseNet:
    layers, activations = _layers_and_activations(network)
    if not layers or activations != [True] * (len(layers) - 1) + [False]:
        raise UsageError(
            "export expects an nn.Sequential of linear layers or convolutions with one ReLU between each two of them "
            "and none behind the last"
        )
    seen, exact = 0, []
    for layer in layers:
        # The exact network hands all that came before to each layer: this one sees the layer before it alone.
        seen += layer.weight.shape[1]
        exact.append(_padded_layer(layer.weight, layer.bias, seen))
    return IntegerDenseNet(center=0, multiplier=NO_UNIT, layers=exact[:-1], last=exact[-1])


def _layers_and_activations(network: nn.Sequential) -> tuple[list[Any], list[bool]]:
    """The layers with weights, and whether a ReLU follows each."""
    layers: list[Any] = []
    activations: list[bool] = []
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            _check_layer(module)
            layers.append(module)
            activations.append(False)
        elif isinstance(module, nn.ReLU) and activations and not activations[-1]:
            activations[-1] = True
        elif not isinstance(module, nn.Sequential | nn.Identity | nn.Dropout | nn.Dropout2d):
            raise no_exact_form(module, "exact.conditioners.export_network")
    return layers, activations


def _padded_layer(weight: Tensor, bias: Tensor | None, inputs: int) -> IntegerConv:
    """A layer that sees the last of ``inputs`` channels alone."""
    unseen = weight.new_zeros(weight.shape[0], inputs - weight.shape[1], *weight.shape[2:])
    return IntegerConv.from_float(torch.cat([unseen, weight], 1), bias)


def _check_layer(layer: nn.Module) -> None:
    """Raise unless a convolution is of the kind that exact arithmetic has."""
    if not isinstance(layer, nn.Conv2d):
        return
    (height, width), half = layer.kernel_size, layer.kernel_size[0] // 2
    plain = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1
    centred = height == width and height % 2 == 1 and layer.padding in ((half, half), "same")
    if not plain or not centred or layer.padding_mode != "zeros":
        raise UsageError(
            "export expects convolutions of odd size with stride 1, zero padding that keeps the size, no dilation and "
            f"no groups, got {layer}"
        )
