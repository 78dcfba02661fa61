"""The three flows of the UvA deep learning tutorial, with its numbers of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import StandardNormal
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.images.architecture import MNIST, Shape, image_shape
from pushforward.models.registry import model
from pushforward.networks import GatedConvNet, MaskedChannels
from pushforward.networks.context import Context, image_with
from pushforward.scalar import LearnedBoundAffine
from pushforward.transforms import (
    Chain,
    Coupling,
    Dequantization,
    Logit,
    Squeeze,
    Transform,
    VariationalDequantization,
    masks,
)


@model("mnist-simple")
def mnist_simple(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 8,
    hidden: int = 32,
) -> Flow:
    """The UvA tutorial's simple flow: uniform dequantization and checkerboard couplings.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: couplings.
        hidden: width of the coupling networks.

    Raises:
        UsageError: if an option does not fit.

    Source: Lippe (2022), UvA Deep Learning Tutorials, tutorial 11.

    Example:
        >>> import pushforward as pf
        >>> sum(parameter.numel() for parameter in pf.models.mnist_simple().parameters())
        556312
    """
    given, shape = conditioning(context, embedding), image_shape(shape)
    start = [Dequantization(levels), Logit()]
    return given.flow([*start, *_couplings(shape, layers, hidden, given.taken)], StandardNormal(shape))


@model("mnist-vardeq", hidden=2)
def mnist_vardeq(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 8,
    hidden: int = 32,
) -> Flow:
    """The UvA tutorial's flow with variational dequantization and checkerboard couplings.

    The noise of the dequantization has four couplings of half the width.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: couplings.
        hidden: width of the coupling networks, at least 2.

    Raises:
        UsageError: if an option does not fit.

    Source: Lippe (2022), UvA Deep Learning Tutorials, tutorial 11.

    Example:
        >>> import pushforward as pf
        >>> sum(parameter.numel() for parameter in pf.models.mnist_vardeq().parameters())
        628388
    """
    given, shape = conditioning(context, embedding), image_shape(shape)
    start = [_dequantization(shape, levels, hidden // 2, given.taken), Logit()]
    return given.flow([*start, *_couplings(shape, layers, hidden, given.taken)], StandardNormal(shape))


@model("mnist-multiscale", hidden=2)
def mnist_multiscale(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    hidden: int = 32,
) -> Flow:
    """The UvA tutorial's multi-scale flow: two squeezes, half the channels factored out between them.

    Args:
        shape: channels, height and width; the sides must be multiples of 4.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        hidden: width of the networks at full size, at least 2; 1.5 and 2 times as wide at the smaller ones.

    Raises:
        UsageError: if an option does not fit.
        ShapeError: if the image cannot be squeezed twice.

    Source: Lippe (2022), UvA Deep Learning Tutorials, tutorial 11.

    Example:
        >>> import pushforward as pf
        >>> sum(parameter.numel() for parameter in pf.models.mnist_multiscale().parameters())
        1711818
    """
    given, shape = conditioning(context, embedding), image_shape(shape)
    middle = Squeeze().forward_shape(shape)
    kept = Shape([middle[0] // 2, *middle[1:]])
    last = Squeeze().forward_shape(kept)
    first_scale = [
        _dequantization(shape, levels, hidden // 2, given.taken),
        Logit(),
        *_couplings(shape, 2, hidden, given.taken),
        Squeeze(),
        *_channel_couplings(middle, 2, hidden * 3 // 2, given.taken),
    ]
    second_scale = [Squeeze(), *_channel_couplings(last, 4, hidden * 2, given.taken)]
    rest = Flow(second_scale, StandardNormal(last))
    return given.flow(first_scale, FactorOut(StandardNormal(kept), rest, given.taken))


def _couplings(shape: Shape, count: int, hidden: int, context: Context) -> list[Transform]:
    """Checkerboard couplings in turn."""
    network = partial(GatedConvNet, hidden=hidden, blocks=3)
    mask = masks.checkerboard(shape)
    return [Coupling(~mask if index % 2 else mask, LearnedBoundAffine(), network, context) for index in range(count)]


def _channel_couplings(shape: Shape, count: int, hidden: int, context: Context) -> list[Transform]:
    """Channel couplings in turn, whose networks have weights for all channels, as the tutorial's have."""
    network = partial(GatedConvNet, hidden=hidden, blocks=3)
    mask = masks.channel(shape)
    turns = [~mask if index % 2 else mask for index in range(count)]
    return [Coupling(kept, LearnedBoundAffine(), MaskedChannels(network, kept[:, 0, 0]), context) for kept in turns]


def _dequantization(shape: Shape, levels: int, hidden: int, context: Context) -> VariationalDequantization:
    noise = Chain(_couplings(shape, 4, hidden, image_with(context, shape)))
    return VariationalDequantization(levels, noise, context)
