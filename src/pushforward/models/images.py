"""Recipes for images of integers: NICE, RealNVP, Glow, Flow++ and the multi-scale flows of the UvA tutorial.

Every recipe takes ``shape`` (channels, height, width), ``levels`` (how many values a pixel takes) and ``context``
(features of a conditioning vector, or channels of a conditioning image). Height and width are squeezed as long as they
are even; a plane that cannot be squeezed is coupled by checkerboards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from pushforward.distributions import ConditionalNormal, Distribution, StandardLogistic, StandardNormal
from pushforward.errors import UsageError
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.models.registry import model
from pushforward.networks import AttentionConvNet, GatedConvNet, GlowConvNet, MaskedChannels, NetworkFactory
from pushforward.networks.context import Context, image_with
from pushforward.scalar import Additive, Affine, LearnedBoundAffine, MixtureCDF, ScalarBijection, Scaling
from pushforward.transforms import (
    ActNorm,
    BatchNorm,
    Chain,
    Coupling,
    Dequantization,
    Elementwise,
    InvertibleConvolutionLU,
    Logit,
    Squeeze,
    Transform,
    VariationalDequantization,
    masks,
)

Shape = torch.Size
Step = Callable[[Shape], list[Transform]]
Prior = Callable[[Shape, Shape], Distribution]

MNIST = (1, 28, 28)


def nice_image(shape: Sequence[int], levels: int, context: Context, layers: int, hidden: int) -> Flow:
    """NICE for images: additive checkerboard couplings and a diagonal scaling."""
    shape = _image(shape)
    network = partial(GatedConvNet, hidden=hidden, layers=2)
    couplings = _couplings(masks.checkerboard(shape), Additive(), network, context, layers)
    parts = [Dequantization(levels), Logit(0.05), *couplings, Elementwise(Scaling(), shape)]
    return Flow(parts, StandardLogistic(shape))


def realnvp_image(shape: Sequence[int], levels: int, context: Context, layers: int, hidden: int, scales: int) -> Flow:
    """RealNVP for images: checkerboard couplings, squeeze, channel couplings, factor-out, at each scale."""
    network = partial(GatedConvNet, hidden=hidden, layers=2)

    def coupled(shape: Shape, mask: Tensor) -> list[Transform]:
        couplings = _couplings(mask, Affine(), network, context, layers)
        return [part for coupling in couplings for part in (coupling, BatchNorm(shape[0], event_dims=3))]

    def step(shape: Shape) -> list[Transform]:
        parts = coupled(shape, masks.checkerboard(shape))
        if _squeezable(shape):
            squeezed = Squeeze().forward_shape(shape)
            parts += [Squeeze(), *coupled(squeezed, masks.channel(squeezed))]
        return parts

    start = [Dequantization(levels), Logit(0.05)]
    return _flow(start, _multiscale(_image(shape), scales, step, _standard, context))


@model("multiscale")
def multiscale(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    layers: int = 4,
    hidden: int = 48,
    scales: int = 2,
    components: int = 4,
    dropout: float = 0.0,
) -> Flow:
    """The flow that we find best on small images: Glow's steps with Flow++'s couplings and dequantization.

    At each scale the image is squeezed, goes through ``layers`` steps of activation normalisation, invertible 1x1
    convolution and logistic-mixture coupling, and half of it is factored out into normals conditioned on the rest.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: features of a conditioning vector or channels of a conditioning image.
        layers: steps at each scale.
        hidden: width of the coupling networks.
        scales: how often the image is squeezed.
        components: logistics in each mixture.
        dropout: share of the hidden units that training leaves out; for small data.
    """
    shape = _image(shape)
    network = partial(GatedConvNet, hidden=hidden, layers=2, dropout=dropout)
    mixture = MixtureCDF("logistic", components)

    def step(shape: Shape) -> list[Transform]:
        parts: list[Transform] = [Squeeze()] if _squeezable(shape) else []
        shape = Chain(parts).forward_shape(shape) if parts else shape
        for coupling in _couplings(_channel_or_checkerboard(shape), mixture, network, context, layers):
            parts += [ActNorm(shape[0], event_dims=3), InvertibleConvolutionLU(shape[0]), coupling]
        return parts

    noise = Chain(_couplings(masks.checkerboard(shape), Affine(), network, image_with(context, shape), 2))
    start = [VariationalDequantization(levels, noise, context), Logit(0.01)]
    return _flow(start, _multiscale(shape, scales, step, _conditional(network, context), context))


@model("glow")
def glow(
    shape: Sequence[int] = (3, 32, 32),
    levels: int = 256,
    context: Context = 0,
    layers: int = 8,
    hidden: int = 128,
    scales: int = 3,
) -> Flow:
    """Glow: activation normalisation, invertible 1x1 convolutions and affine couplings at several scales.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: features of a conditioning vector or channels of a conditioning image.
        layers: steps of flow at each scale, ``K`` of the paper.
        hidden: width of the coupling networks.
        scales: how often the image is squeezed and half of it factored out, ``L`` of the paper.

    Source: Kingma, Dhariwal (2018), arXiv:1807.03039.
    """
    network = partial(GlowConvNet, hidden=hidden)

    def step(shape: Shape) -> list[Transform]:
        parts: list[Transform] = [Squeeze()] if _squeezable(shape) else []
        shape = Chain(parts).forward_shape(shape) if parts else shape
        for coupling in _couplings(_channel_or_checkerboard(shape), Affine(), network, context, layers):
            parts += [ActNorm(shape[0], event_dims=3), InvertibleConvolutionLU(shape[0]), coupling]
        return parts

    start = [Dequantization(levels), Logit(0.05)]
    return _flow(start, _multiscale(_image(shape), scales, step, _conditional(network, context), context))


@model("flowpp")
def flowpp(
    shape: Sequence[int] = (3, 32, 32),
    levels: int = 256,
    context: Context = 0,
    layers: int = 4,
    hidden: int = 96,
    components: int = 8,
    blocks: int = 2,
) -> Flow:
    """Flow++: logistic mixture CDF couplings with self-attention, and variational dequantization.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: features of a conditioning vector or channels of a conditioning image.
        layers: couplings of each kind: checkerboard, channel, and of the dequantization's noise.
        hidden: width of the coupling networks.
        components: logistics in each mixture.
        blocks: convolution-attention blocks in each network.

    Source: Ho, Chen, Srinivas, Duan, Abbeel (2019), arXiv:1902.00275.
    """
    network = partial(AttentionConvNet, hidden=hidden, layers=blocks)
    mixture = MixtureCDF("logistic", components)
    shape = _image(shape)

    def coupled(shape: Shape, mask: Tensor, context: Context) -> list[Transform]:
        couplings = _couplings(mask, mixture, network, context, layers)
        return [part for coupling in couplings for part in (ActNorm(shape[0], event_dims=3), coupling)]

    noise = Chain(coupled(shape, masks.checkerboard(shape), image_with(context, shape)))
    start = [VariationalDequantization(levels, noise, context), Logit(0.05)]
    parts = [*start, *coupled(shape, masks.checkerboard(shape), context)]
    if _squeezable(shape):
        squeezed = Squeeze().forward_shape(shape)
        parts += [
            Squeeze(),
            *coupled(squeezed, masks.channel(squeezed), context),
            *coupled(squeezed, masks.checkerboard(squeezed), context),
        ]
    latent = Chain(parts).forward_shape(shape)
    return _flow(parts, StandardNormal(latent))


@model("mnist-simple")
def mnist_simple(
    shape: Sequence[int] = MNIST, levels: int = 256, context: Context = 0, layers: int = 8, hidden: int = 32
) -> Flow:
    """The UvA tutorial's simple flow: uniform dequantization and checkerboard couplings.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: features of a conditioning vector or channels of a conditioning image.
        layers: couplings.
        hidden: width of the coupling networks.

    Source: Lippe (2022), UvA Deep Learning Tutorials, tutorial 11.
    """
    shape = _image(shape)
    start = [Dequantization(levels), Logit()]
    return _flow([*start, *_tutorial_couplings(shape, layers, hidden, context)], StandardNormal(shape))


@model("mnist-vardeq")
def mnist_vardeq(
    shape: Sequence[int] = MNIST, levels: int = 256, context: Context = 0, layers: int = 8, hidden: int = 32
) -> Flow:
    """The UvA tutorial's flow with variational dequantization and checkerboard couplings.

    Args: as ``mnist-simple``; the noise has four couplings of half the width.

    Source: Lippe (2022), UvA Deep Learning Tutorials, tutorial 11.
    """
    shape = _image(shape)
    start = [_tutorial_dequantization(shape, levels, hidden // 2, context), Logit()]
    return _flow([*start, *_tutorial_couplings(shape, layers, hidden, context)], StandardNormal(shape))


@model("mnist-multiscale")
def mnist_multiscale(shape: Sequence[int] = MNIST, levels: int = 256, context: Context = 0, hidden: int = 32) -> Flow:
    """The UvA tutorial's multi-scale flow: two squeezes, half the channels factored out between them.

    Args:
        shape: channels, height and width; the sides must be multiples of 4.
        levels: how many values a pixel takes.
        context: features of a conditioning vector or channels of a conditioning image.
        hidden: width of the networks at full size; 1.5 and 2 times as wide at the smaller ones.

    Raises:
        ShapeError: if the image cannot be squeezed twice.

    Source: Lippe (2022), UvA Deep Learning Tutorials, tutorial 11.
    """
    shape = _image(shape)
    middle = Squeeze().forward_shape(shape)
    kept = Shape([middle[0] // 2, *middle[1:]])
    last = Squeeze().forward_shape(kept)
    first_scale = [
        _tutorial_dequantization(shape, levels, hidden // 2, context),
        Logit(),
        *_tutorial_couplings(shape, 2, hidden, context),
        Squeeze(),
        *_tutorial_couplings(middle, 2, hidden * 3 // 2, context, by_channel=True),
    ]
    second_scale = [Squeeze(), *_tutorial_couplings(last, 4, hidden * 2, context, by_channel=True)]
    rest = Flow(second_scale, StandardNormal(last))
    return _flow(first_scale, FactorOut(StandardNormal(kept), rest, context))


def _tutorial_couplings(
    shape: Sequence[int], count: int, hidden: int, context: Context, by_channel: bool = False
) -> list[Transform]:
    mask = masks.channel(shape) if by_channel else masks.checkerboard(shape)
    network = partial(GatedConvNet, hidden=hidden, layers=3)
    couplings: list[Transform] = []
    for index in range(count):
        kept = ~mask if index % 2 else mask
        factory = MaskedChannels(network, kept[:, 0, 0]) if by_channel else network
        couplings.append(Coupling(kept, LearnedBoundAffine(), factory, context))
    return couplings


def _tutorial_dequantization(
    shape: Sequence[int], levels: int, hidden: int, context: Context
) -> VariationalDequantization:
    noise = Chain(_tutorial_couplings(shape, 4, hidden, image_with(context, shape)))
    return VariationalDequantization(levels, noise, context)


def _couplings(
    mask: Tensor, scalar: ScalarBijection, network: NetworkFactory, context: Context, count: int
) -> list[Transform]:
    """Couplings whose masks take turns, so that every pixel changes."""
    return [Coupling(~mask if index % 2 else mask, scalar, network, context) for index in range(count)]


def _multiscale(shape: Shape, scales: int, step: Step, prior: Prior, context: Context) -> Flow:
    """Apply ``step``, factor half of the channels out into ``prior``, and go on with the rest, ``scales`` times."""
    parts = step(shape)
    shape = Chain(parts).forward_shape(shape)
    if scales == 1 or not _squeezable(shape) or shape[0] < 2:
        return Flow(parts, StandardNormal(shape))
    kept = Shape([shape[0] // 2, *shape[1:]])
    split = Shape([shape[0] - kept[0], *shape[1:]])
    rest = _multiscale(kept, scales - 1, step, prior, context)
    return Flow(parts, FactorOut(prior(split, kept), rest, context))


def _standard(split: Shape, kept: Shape) -> Distribution:
    return StandardNormal(split)


def _conditional(network: NetworkFactory, context: Context) -> Prior:
    return lambda split, kept: ConditionalNormal(split, network, image_with(context, kept))


def _flow(parts: Sequence[Transform], rest: Distribution) -> Flow:
    """Put ``parts`` before a flow (joining the chains) or a base."""
    if isinstance(rest, Flow):
        return Flow([*parts, *rest.transform], rest.base)  # type: ignore[misc]
    return Flow(parts, rest)


def _image(shape: Sequence[int]) -> Shape:
    if len(shape) != 3 or min(shape) < 1:
        raise UsageError(f"an image flow expects shape=(channels, height, width), got {tuple(shape)}")
    return Shape(shape)


def _squeezable(shape: Shape) -> bool:
    return shape[1] % 2 == 0 and shape[2] % 2 == 0


def _channel_or_checkerboard(shape: Shape) -> Tensor:
    return masks.channel(shape) if shape[0] > 1 else masks.checkerboard(shape)
