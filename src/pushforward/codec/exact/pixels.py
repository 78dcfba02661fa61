"""Pixel models in exact arithmetic: the integers of an image, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor, nn

from pushforward.codec.exact.bases import IntegerBase, Walk, labelled
from pushforward.codec.exact.causal import IntegerTaps
from pushforward.codec.exact.causal_networks import (
    IntegerGatedLayer,
    IntegerGatedPixelCNN,
    IntegerHead,
    IntegerPixelBlock,
    IntegerPixelCNN,
)
from pushforward.codec.exact.conditioners import NO_UNIT
from pushforward.codec.exact.fixedpoint import IntegerConv
from pushforward.codec.exact.masses import IntegerMass, Symbols
from pushforward.codec.exact.tables import FRACTION_BITS
from pushforward.codec.registry import no_exact_form
from pushforward.errors import CodecError
from pushforward.networks.masked.convolution import MaskedConvolution
from pushforward.networks.masked.images.base import PixelNetwork
from pushforward.networks.masked.images.conditions import Condition, ConditionTerm, places
from pushforward.networks.masked.images.gated import GatedLayer, GatedPixelCNN
from pushforward.networks.masked.images.pixelcnn import PixelBlock, PixelCNN, PixelHead

IntegerNetwork = IntegerPixelCNN | IntegerGatedPixelCNN


@dataclass
class IntegerPixels(IntegerBase):
    """Images of ``shape``, one integer after the other in raster order, the channels of a pixel in turn.

    Many images side by side: at each pixel there is one step of the network for all of them.
    """

    mass: IntegerMass
    network: IntegerNetwork
    shape: tuple[int, int, int]

    block_elements = 2**20

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1 or self.network.head.last.outputs % self.shape[0]:
            raise CodecError("the exported pixel model is damaged: its outputs are not those of its channels")

    def walk(self, context: Tensor, pixels: int) -> Walk:
        channels, height, width = self.shape
        # The steps are small and many: a processor is faster at them than a device far away.
        x = torch.zeros((len(context), *self.shape), dtype=torch.int64)
        sweep = self.network.sweep(len(context), width)
        for i in range(height):
            sweep.begin(i)
            for j in range(width):
                for channel in range(channels):
                    parameters = sweep.outputs(j).chunk(channels, 1)[channel]
                    x[:, channel, i, j] = yield from labelled(self.mass.walk(parameters), 0)
                    sweep.write(j, x[:, :, i, j])
            sweep.end()
        return x.to(context.device)

    def symbols(self, x: Tensor, context: Tensor, pixels: int) -> Iterator[Symbols]:
        for values in x.permute(2, 3, 1, 0).flatten(0, 2):
            yield from self.mass.symbols(values)


@singledispatch
def export_pixel_network(network: nn.Module, height: int, width: int) -> IntegerNetwork:
    """Return the exact form of a causal network of images. ``@export_pixel_network.register`` adds a class.

    Raises:
        UsageError: if none is registered for the network's class.
    """
    raise no_exact_form(network, "exact.pixels.export_pixel_network")


@export_pixel_network.register
def _(network: PixelCNN, height: int, width: int) -> IntegerPixelCNN:
    where = _condition(height, width, network)
    blocks: list[PixelBlock] = list(network.blocks)  # type: ignore[arg-type]
    return IntegerPixelCNN(
        *_scaling(network),
        _masked_taps(network.first, _term(network.first_term, where)),
        [
            IntegerPixelBlock(
                _pointwise(block.narrow),
                _masked_taps(block.convolution, _term(block.term, where)),
                _pointwise(block.wide),
            )
            for block in blocks
        ],
        _head(network.head),
    )


@export_pixel_network.register
def _(network: GatedPixelCNN, height: int, width: int) -> IntegerGatedPixelCNN:
    where = _condition(height, width, network)
    layers: list[GatedLayer] = list(network.layers)  # type: ignore[arg-type]
    return IntegerGatedPixelCNN(
        *_scaling(network), [_gated_layer(layer, where) for layer in layers], _head(network.head)
    )


def _gated_layer(layer: GatedLayer, where: Condition) -> IntegerGatedLayer:
    vertical, horizontal = layer.vertical, layer.horizontal
    assert vertical.bias is not None and horizontal.bias is not None
    none_beside, none_above = vertical.weight[..., 0, :0], horizontal.weight[..., :0, :]
    return IntegerGatedLayer(
        IntegerTaps.from_float(
            vertical.weight, none_beside, _term(layer.vertical_term, where) + vertical.bias[:, None, None]
        ),
        IntegerConv.from_float(layer.link.weight, layer.link.bias),
        IntegerTaps.from_float(
            none_above,
            horizontal.masked_weight[:, :, 0],
            _term(layer.horizontal_term, where) + horizontal.bias[:, None, None],
        ),
        _pointwise(layer.last),
        layer.residual,
    )


def _masked_taps(layer: MaskedConvolution, term: Tensor) -> IntegerTaps:
    """A masked convolution and what is added to it."""
    assert layer.bias is not None
    reach, weight = layer.kernel_size[0] // 2, layer.masked_weight
    return IntegerTaps.from_float(
        weight[:, :, :reach], weight[:, :, reach, : reach + 1], term + layer.bias[:, None, None]
    )


def _pointwise(layer: MaskedConvolution) -> IntegerConv:
    return IntegerConv.from_float(layer.masked_weight, layer.bias)


def _head(head: PixelHead) -> IntegerHead:
    return IntegerHead(_pointwise(head.hidden), _pointwise(head.last))


def _scaling(network: PixelNetwork) -> tuple[int, int]:
    """The shift and the multiplier of a network's input."""
    return round(network.center * 2**FRACTION_BITS), round(NO_UNIT / network.unit)


def _condition(height: int, width: int, network: nn.Module) -> Condition:
    return Condition(places(height, width, next(network.parameters())), None)


def _term(term: ConditionTerm, where: Condition) -> Tensor:
    """What the places add to a layer, ``(out, H, W)``."""
    return term(where)[0].detach()
