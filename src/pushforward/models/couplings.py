"""NICE and RealNVP, the first coupling flows, for vectors and for images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import StandardLogistic
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.images.architecture import (
    couplings,
    image_shape,
    multiscale_flow,
    realnvp_steps,
    standard_prior,
)
from pushforward.models.kinds import LEVELS, image_width, only_shape, vector_features
from pushforward.models.registry import model
from pushforward.models.vectors.coupling import coupling_layers
from pushforward.models.vectors.standardised import vector_flow
from pushforward.networks import GatedConvNet
from pushforward.networks.context import Context
from pushforward.scalar import Additive, Affine, Scaling
from pushforward.transforms import Dequantization, Elementwise, Logit, masks


@model("nice")
def nice(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int | Sequence[int] = 64,
) -> Flow:
    """NICE: additive couplings, a diagonal scaling and a logistic base, for vectors or images.

    Vectors are standardised first, images dequantized and taken through a logit; their couplings are checkerboards.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: couplings.
        hidden: widths of the networks' hidden layers, or one width.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.nice(features=3).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    given = conditioning(context, embedding)
    if shape is not None:
        return _nice_image(only_shape(shape, features), levels, given, layers, image_width(hidden))
    features = vector_features(features, levels)
    layers_of = coupling_layers(features, Additive(), given, layers, hidden)
    scaling = Elementwise(Scaling(), (features,))
    return vector_flow(features, [*layers_of, scaling], given, StandardLogistic((features,)))


@model("realnvp")
def realnvp(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int | Sequence[int] = 64,
    scales: int = 2,
) -> Flow:
    """RealNVP: affine couplings on vectors, or multi-scale checkerboard and channel couplings on images.

    Vectors are standardised first, images dequantized and taken through a logit; both end in a standard normal base.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: couplings, for images of each kind at each scale.
        hidden: widths of the networks' hidden layers, or one width.
        scales: how often an image is squeezed and half of it factored out.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.realnvp(features=3).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
        >>> pf.models.realnvp(shape=(1, 8, 8), levels=17, layers=2, hidden=8).sample(2).shape
        torch.Size([2, 1, 8, 8])
    """
    given = conditioning(context, embedding)
    if shape is not None:
        return _realnvp_image(only_shape(shape, features), levels, given, layers, image_width(hidden), scales)
    features = vector_features(features, levels)
    return vector_flow(features, coupling_layers(features, Affine(), given, layers, hidden), given)


def _nice_image(shape: Sequence[int], levels: int | None, given: Conditioning, layers: int, hidden: int) -> Flow:
    """Additive checkerboard couplings and a diagonal scaling."""
    shape = image_shape(shape)
    network = partial(GatedConvNet, hidden=hidden, blocks=2)
    layers_of = couplings(masks.checkerboard(shape), Additive(), network, given.taken, layers)
    parts = [Dequantization(levels or LEVELS), Logit(0.05), *layers_of, Elementwise(Scaling(), shape)]
    return given.flow(parts, StandardLogistic(shape))


def _realnvp_image(
    shape: Sequence[int], levels: int | None, given: Conditioning, layers: int, hidden: int, scales: int
) -> Flow:
    """Checkerboard couplings, squeeze, channel couplings, factor-out, at each scale."""
    network = partial(GatedConvNet, hidden=hidden, blocks=2)
    step = realnvp_steps(Affine(), network, given.taken, layers)
    start = [Dequantization(levels or LEVELS), Logit(0.05)]
    return multiscale_flow(start, image_shape(shape), scales, step, standard_prior, given)
