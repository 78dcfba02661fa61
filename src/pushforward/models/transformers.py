"""Transformer flows: autoregressive layers of tokens, for images, vectors and series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import nn

from pushforward.distributions import StandardNormal
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.images.architecture import image_shape
from pushforward.models.kinds import LEVELS, only_shape, vector_features
from pushforward.models.registry import checked, model
from pushforward.models.vectors.autoregressive import alternating_layers, real_line
from pushforward.networks import CausalTransformer, DroppedContext
from pushforward.networks.context import Context
from pushforward.scalar import Affine, ScalarBijection
from pushforward.transforms import (
    ActNorm,
    Dequantization,
    Flatten,
    GaussianDequantization,
    Logit,
    Patches,
    Standardise,
    Transform,
)


@checked
def transformer_flow(
    scalar: ScalarBijection,
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int = 64,
    blocks: int = 2,
    heads: int = 4,
    patch: int = 2,
    dropout: float = 0.0,
    noise: float = 0.0,
    unconditional: float = 0.0,
) -> Flow:
    """Autoregressive flow of any scalar bijection whose networks are causal transformers; ``tarflow`` is an instance.

    Tokens are the patches of an image, the numbers of a vector, or the moments of a series. Layers whose order is
    reversed from one to the next lead onto a standard normal base; before them vectors and series are standardised,
    images dequantized and taken through a logit or, with ``noise``, given normal noise, and their channels normalised.

    Args:
        scalar: the scalar bijection of every number, from the reals onto the reals.
        features, shape, levels, context, embedding: as for ``tarflow``.
        layers, hidden, blocks, heads, patch, dropout, noise, unconditional: as for ``tarflow``.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Zhai et al. (2024), arXiv:2412.06329; Papamakarios et al. (2021), arXiv:1912.02762, section 3.1.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.transformer_flow(pf.scalar.RationalQuadraticSpline(), features=3, hidden=8, layers=2)
        >>> flow.log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    real_line("transformer_flow", scalar)
    given = conditioning(context, embedding)
    _check_options(shape, noise, unconditional, given)
    if shape is None:
        count, token = vector_features(features, levels), 1
        start: list[Transform] = [Standardise(count)]
    elif len(only_shape(shape, features)) == 2:
        count, token = shape[0] * shape[1], shape[1]
        start = _series(shape, levels)
    else:
        channels, height, width = image_shape(shape)
        count, token = channels * height * width, channels * patch**2
        start = [*_dequantized(levels or LEVELS, noise), ActNorm(channels, event_dims=3), Patches(shape, patch)]
        given = _by_patches(given, embedding, (height // patch, width // patch))
    network = partial(CausalTransformer, token=token, hidden=hidden, blocks=blocks, heads=heads, dropout=dropout)
    parts = alternating_layers(count, scalar, network, given.taken, layers)
    if unconditional and isinstance(given.taken, int):
        given = replace(given, embedding=DroppedContext(given.taken, given.embedding, unconditional))
    return given.flow([*start, *parts], StandardNormal((count,)))


@model("tarflow")
def tarflow(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int = 64,
    blocks: int = 2,
    heads: int = 4,
    patch: int = 2,
    dropout: float = 0.0,
    noise: float = 0.0,
    unconditional: float = 0.0,
) -> Flow:
    """TarFlow: causal transformers over patches decide affine maps; for images, vectors and series.

    Tokens are the patches of an image, the numbers of a vector, or the moments of a series. Layers whose order is
    reversed from one to the next lead onto a standard normal base; before them vectors and series are standardised,
    images dequantized and taken through a logit or, with ``noise``, given normal noise, and their channels normalised.
    Densities take one pass, samples one of a token at a time, with cached keys and values.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers, or moments and channels of a series of reals.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none. Of an image as context, every token
            of an image sees averages over as many places as there are patches.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: width of the transformers, a multiple of ``heads``.
        blocks: blocks of attention in each layer.
        heads: attention heads.
        patch: the sides of the patches of an image.
        dropout: the share of what a block adds that training leaves out; for small data.
        noise: standard deviation of normal noise on pixels from -1 to 1, in place of uniform noise, for
            ``sample_denoised``; 0 for none.
        unconditional: the share of the contexts that training leaves out, for ``guided``, such as 0.1; 0 for none.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Zhai et al. (2024), Normalizing Flows are Capable Generative Models, arXiv:2412.06329.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.tarflow(shape=(1, 8, 8), levels=17, context=10, hidden=8, layers=2)
        >>> flow.sample(2, torch.eye(10)).shape
        torch.Size([2, 10, 1, 8, 8])
        >>> pf.models.tarflow(shape=(20, 3), hidden=8, layers=2).log_prob(torch.zeros(4, 20, 3)).shape
        torch.Size([4])
    """
    return transformer_flow(
        Affine(),
        features,
        shape,
        levels,
        context,
        embedding,
        layers,
        hidden,
        blocks,
        heads,
        patch,
        dropout,
        noise,
        unconditional,
    )


def _check_options(shape: Sequence[int] | None, noise: float, unconditional: float, given: Conditioning) -> None:
    """Refuse what would change nothing."""
    if noise and (shape is None or len(shape) != 3):
        raise UsageError(f"noise= is for images of integers, which shape=(channels, height, width) is for; got {noise}")
    if unconditional and not given.taken:
        raise UsageError(f"unconditional={unconditional} leaves out contexts, and there are none: give context= too")


def _by_patches(given: Conditioning, embedding: nn.Module | None, plane: tuple[int, int]) -> Conditioning:
    """The same, with an image as context averaged over as many places as there are patches, all of which every token
    sees."""
    if isinstance(given.taken, int):
        return given
    if len(given.taken) != 3:
        raise UsageError(
            f"tarflow expects a context that is a vector or an image (channels, height, width), got {given.taken}: "
            "give an embedding= network that makes one of it"
        )
    averaged = nn.Sequential(
        nn.Identity() if embedding is None else embedding, nn.AdaptiveAvgPool2d(plane), nn.Flatten()
    )
    return conditioning(given.context, averaged)


def _series(shape: Sequence[int], levels: int | None) -> list[Transform]:
    """Series of reals as standardised vectors, moment by moment."""
    moments, channels = shape
    return [Flatten(shape), Standardise(vector_features(moments * channels, levels))]


def _dequantized(levels: int, noise: float) -> list[Transform]:
    """Integers made continuous, by noise of their cells' width or by wider noise."""
    return [GaussianDequantization(levels, noise)] if noise else [Dequantization(levels), Logit(0.05)]
