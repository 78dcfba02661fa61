"""MintNet, sums of masked convolutions, for vectors and for images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.images.architecture import image_shape, multiscale_flow, squeezable, standard_prior
from pushforward.models.kinds import LEVELS, image_width, only_shape, vector_features
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import vector_flow, widths
from pushforward.networks import MLP, GatedConvNet, NetworkFactory
from pushforward.networks.context import Context
from pushforward.transforms import ActNorm, Chain, Dequantization, Logit, Mint, Squeeze, Transform


@model("mintnet")
def mintnet(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 6,
    hidden: int | Sequence[int] = 32,
    units: int = 16,
    scales: int = 2,
) -> Flow:
    """MintNet: sums of masked convolutions with a triangular Jacobian, for vectors or images.

    Layers whose variables depend on those before them, and on those behind them, take turns, each between activation
    normalisations. Vectors are standardised first, images dequantized and taken through a logit; at each scale of an
    image a squeeze comes first and half of the channels are factored out.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: Mint layers, for images at each scale; a number that is even gives each variable a say on every other.
        hidden: widths of the networks that a context is seen by; one number stands for two layers.
        units: hidden units for each variable, in both hidden layers of a Mint layer.
        scales: how often an image is squeezed and half of it factored out.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Song, Meng, Ermon (2019), arXiv:1907.07945.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.mintnet(features=3).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
        >>> pf.models.mintnet(shape=(1, 8, 8), levels=17, layers=2, units=2).sample(2).shape
        torch.Size([2, 1, 8, 8])
    """
    given = conditioning(context, embedding)
    if shape is not None:
        network = partial(GatedConvNet, hidden=image_width(hidden), blocks=1)
        return _image(only_shape(shape, features), levels, given, layers, units, network, scales)
    features = vector_features(features, levels)
    parts = mint_layers((features,), units, partial(MLP, hidden=widths(hidden)), given.taken, layers)
    return vector_flow(features, parts, given)


def mint_layers(
    shape: Sequence[int], units: int, network: NetworkFactory, context: Context, count: int
) -> list[Transform]:
    """Mint layers whose orders take turns, between activation normalisations: each stretches what it is given."""
    parts: list[Transform] = [ActNorm(shape[0], event_dims=len(shape))]
    for index in range(count):
        layer = Mint(shape, units, reverse=index % 2 == 1, network=network, context=context)
        parts += [layer, ActNorm(shape[0], event_dims=len(shape))]
    return parts


def _image(
    shape: Sequence[int],
    levels: int | None,
    given: Conditioning,
    layers: int,
    units: int,
    network: NetworkFactory,
    scales: int,
) -> Flow:
    """A squeeze, normalised Mint layers and a factor-out, at each scale."""

    def step(shape: Sequence[int]) -> list[Transform]:
        parts: list[Transform] = [Squeeze()] if squeezable(image_shape(shape)) else []
        shape = Chain(parts).forward_shape(shape) if parts else shape
        return parts + mint_layers(shape, units, network, given.taken, layers)

    start = [Dequantization(levels or LEVELS), Logit(0.05)]
    return multiscale_flow(start, image_shape(shape), scales, step, standard_prior, given)
