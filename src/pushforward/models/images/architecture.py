"""What the image recipes share: squeezes where they fit, couplings in turn, and half of the channels factored out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.distributions import ConditionalNormal, Distribution, StandardNormal
from pushforward.errors import UsageError
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning
from pushforward.networks import NetworkFactory
from pushforward.networks.context import Context, image_with
from pushforward.scalar import ScalarBijection
from pushforward.transforms import (
    ActNorm,
    BatchNorm,
    Chain,
    Coupling,
    InvertibleConvolutionLU,
    Squeeze,
    Transform,
    masks,
)

Shape = torch.Size
Step = Callable[[Shape], list[Transform]]
Prior = Callable[[Shape, Shape], Distribution]

MNIST = (1, 28, 28)
CIFAR = (3, 32, 32)


def image_shape(shape: Sequence[int]) -> Shape:
    """Check the shape of an image.

    Raises:
        UsageError: if it is not one of channels, height and width.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise UsageError(f"an image flow expects shape=(channels, height, width), got {tuple(shape)}")
    return Shape(shape)


def squeezable(shape: Shape) -> bool:
    """Whether both sides are even."""
    return shape[1] % 2 == 0 and shape[2] % 2 == 0


def couplings(
    mask: Tensor, scalar: ScalarBijection, network: NetworkFactory, context: Context, count: int
) -> list[Transform]:
    """Couplings whose masks take turns, so that every pixel changes."""
    return [Coupling(~mask if index % 2 else mask, scalar, network, context) for index in range(count)]


def glow_steps(scalar: ScalarBijection, network: NetworkFactory, context: Context, layers: int) -> Step:
    """At each scale a squeeze and ``layers`` steps of activation normalisation, invertible 1x1 convolution and
    coupling; an image of one channel that cannot be squeezed is coupled by checkerboards."""

    def step(shape: Shape) -> list[Transform]:
        parts: list[Transform] = [Squeeze()] if squeezable(shape) else []
        shape = Chain(parts).forward_shape(shape) if parts else shape
        mask = masks.channel(shape) if shape[0] > 1 else masks.checkerboard(shape)
        for coupling in couplings(mask, scalar, network, context, layers):
            parts += [ActNorm(shape[0], event_dims=3), InvertibleConvolutionLU(shape[0]), coupling]
        return parts

    return step


def realnvp_steps(scalar: ScalarBijection, network: NetworkFactory, context: Context, layers: int) -> Step:
    """At each scale ``layers`` checkerboard couplings, a squeeze, and as many channel couplings."""

    def coupled(shape: Shape, mask: Tensor) -> list[Transform]:
        pairs = couplings(mask, scalar, network, context, layers)
        return [part for coupling in pairs for part in (coupling, BatchNorm(shape[0], event_dims=3))]

    def step(shape: Shape) -> list[Transform]:
        parts = coupled(shape, masks.checkerboard(shape))
        if squeezable(shape):
            squeezed = Squeeze().forward_shape(shape)
            parts += [Squeeze(), *coupled(squeezed, masks.channel(squeezed))]
        return parts

    return step


def standard_prior(split: Shape, kept: Shape) -> Distribution:
    """What is factored out is standard normal."""
    return StandardNormal(split)


def conditional_prior(network: NetworkFactory, context: Context) -> Prior:
    """What is factored out is normal, with means and scales that a network of the kept part decides."""
    return lambda split, kept: ConditionalNormal(split, network, image_with(context, kept))


def multiscale_flow(
    start: Sequence[Transform], shape: Shape, scales: int, step: Step, prior: Prior, given: Conditioning
) -> Flow:
    """Apply ``step``, factor half of the channels out into ``prior``, and go on with the rest, ``scales`` times."""
    parts, base = _scale(shape, scales, step, prior, given.taken)
    return given.flow([*start, *parts], base)


def _scale(
    shape: Shape, scales: int, step: Step, prior: Prior, context: Context
) -> tuple[list[Transform], Distribution]:
    parts = step(shape)
    shape = Chain(parts).forward_shape(shape)
    if scales == 1 or not squeezable(shape) or shape[0] < 2:
        return parts, StandardNormal(shape)
    kept = Shape([shape[0] // 2, *shape[1:]])
    split = Shape([shape[0] - kept[0], *shape[1:]])
    rest = Flow(*_scale(kept, scales - 1, step, prior, context))
    return parts, FactorOut(prior(split, kept), rest, context)
