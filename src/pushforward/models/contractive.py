"""Invertible residual networks, residual flows and DenseNet flows, for vectors and for images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.images.contractive import contractive_images
from pushforward.models.kinds import LEVELS, image_width, only_shape, vector_features
from pushforward.models.registry import model
from pushforward.models.vectors.contractive import contractive_vectors
from pushforward.networks import (
    CLipSwish,
    LipschitzConvNet,
    LipschitzDenseMLP,
    LipschitzDenseNet,
    LipschitzELU,
    LipschitzMLP,
    LipschitzSine,
    LipSwish,
)
from pushforward.networks.context import Context
from pushforward.transforms import (
    ExactLogDeterminant,
    LogDeterminant,
    NeumannGradients,
    RussianRoulette,
    TruncatedSeries,
)
from pushforward.transforms.residual.contractive import MOST_EXACT

ACTIVATIONS = {"elu": LipschitzELU, "lipswish": LipSwish, "clipswish": CLipSwish, "sine": LipschitzSine}


@model("iresnet")
def iresnet(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 10,
    hidden: int | Sequence[int] = 64,
    scales: int = 2,
    log_det: str = "auto",
    terms: int = 8,
    activation: str = "elu",
    lipschitz: float = 0.9,
) -> Flow:
    """Invertible residual network: residual layers with ELUs and a truncated series as the log-determinant.

    Vectors are standardised first; images dequantized and taken through a logit, and squeezed between scales.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: residual layers, for images at each scale.
        hidden: widths of the networks' hidden layers, or one width; one number stands for two layers.
        scales: at how many scales an image is seen.
        log_det: ``"exact"`` (by the whole Jacobian), ``"estimate"``, or ``"auto"``: exact for vectors of up to 8
            features, an estimate for all else.
        terms: the terms of the series, where it is an estimate.
        activation: of the networks: ``"elu"``, ``"lipswish"``, ``"clipswish"`` or ``"sine"``, which is the sharpest.
        lipschitz: the Lipschitz constant of each network, below 1.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen (2019), arXiv:1811.00995.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.iresnet(features=3, layers=2)
        >>> flow.log_prob(torch.zeros(4, 3)).shape, str(flow.accuracy)
        (torch.Size([4]), 'exact')
    """
    networks = _Networks(LipschitzMLP, LipschitzConvNet, activation, lipschitz)
    estimate = TruncatedSeries(terms)
    return _flow(networks, estimate, features, shape, levels, context, embedding, layers, hidden, scales, log_det)


@model("residual-flow")
def residual_flow(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 10,
    hidden: int | Sequence[int] = 64,
    scales: int = 2,
    log_det: str = "auto",
    activation: str = "lipswish",
    lipschitz: float = 0.97,
) -> Flow:
    """Residual flow: residual layers with LipSwish and an unbiased log-determinant.

    Vectors are standardised first; images dequantized and taken through a logit, and squeezed between scales.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: residual layers, for images at each scale.
        hidden: widths of the networks' hidden layers, or one width; one number stands for two layers.
        scales: at how many scales an image is seen.
        log_det: ``"exact"`` (by the whole Jacobian), ``"estimate"`` (Russian roulette), or ``"auto"``: exact for
            vectors of up to 8 features, an estimate for all else.
        activation: of the networks: ``"elu"``, ``"lipswish"``, ``"clipswish"`` or ``"sine"``, which is the sharpest.
        lipschitz: the Lipschitz constant of each network, below 1.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Chen, Behrmann, Duvenaud, Jacobsen (2019), arXiv:1906.02735.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.residual_flow(features=3, layers=2).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
        >>> pf.models.residual_flow(shape=(1, 8, 8), levels=17, layers=1, hidden=8).sample(2).shape
        torch.Size([2, 1, 8, 8])
    """
    networks = _Networks(LipschitzMLP, LipschitzConvNet, activation, lipschitz)
    estimate = NeumannGradients(RussianRoulette())
    return _flow(networks, estimate, features, shape, levels, context, embedding, layers, hidden, scales, log_det)


@model("densenet-flow")
def densenet_flow(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 10,
    hidden: int | Sequence[int] | None = None,
    scales: int = 2,
    log_det: str = "auto",
    activation: str = "clipswish",
    lipschitz: float = 0.97,
) -> Flow:
    """DenseNet flow: residual layers that are densely connected, with CLipSwish and learned concatenation.

    Vectors are standardised first; images dequantized and taken through a logit, and squeezed between scales. With its
    default widths it has about as many parameters as ``residual-flow``.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: residual layers, for images at each scale.
        hidden: the units that each dense layer adds, for vectors also several numbers; one number stands for three
            layers; 26 for vectors and 11 for images by default.
        scales: at how many scales an image is seen.
        log_det: ``"exact"`` (by the whole Jacobian), ``"estimate"`` (Russian roulette), or ``"auto"``: exact for
            vectors of up to 8 features, an estimate for all else.
        activation: of the networks: ``"elu"``, ``"lipswish"``, ``"clipswish"`` or ``"sine"``, which is the sharpest.
        lipschitz: the Lipschitz constant of each network, below 1.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Perugachi-Diaz, Tomczak, Bhulai (2021), arXiv:2102.02694.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.densenet_flow(features=3, layers=2).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    networks = _Networks(LipschitzDenseMLP, LipschitzDenseNet, activation, lipschitz)
    estimate = NeumannGradients(RussianRoulette())
    if hidden is None:
        hidden = 26 if shape is None else 11
    return _flow(networks, estimate, features, shape, levels, context, embedding, layers, hidden, scales, log_det)


class _Networks:
    """The networks of a model for vectors and for images, with an activation and a bound."""

    def __init__(self, vectors: type[nn.Module], images: type[nn.Module], activation: str, lipschitz: float) -> None:
        if activation not in ACTIVATIONS:
            raise UsageError(f"activation expects one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        options: dict[str, Any] = {"activation": ACTIVATIONS[activation], "lipschitz": lipschitz}
        self.vectors, self.images = partial(vectors, **options), partial(images, **options)


def _flow(
    networks: _Networks,
    estimate: LogDeterminant,
    features: int | None,
    shape: Sequence[int] | None,
    levels: int | None,
    context: Context,
    embedding: nn.Module | None,
    layers: int,
    hidden: int | Sequence[int],
    scales: int,
    log_det: str,
) -> Flow:
    given = conditioning(context, embedding)
    if shape is not None:
        rule = ExactLogDeterminant() if _is_exact(log_det, None) else estimate
        network = partial(networks.images, hidden=image_width(hidden))
        return contractive_images(only_shape(shape, features), levels or LEVELS, network, rule, layers, scales, given)
    features = vector_features(features, levels)
    rule = ExactLogDeterminant() if _is_exact(log_det, features) else estimate
    return contractive_vectors(features, partial(networks.vectors, hidden=hidden), rule, layers, given)


def _is_exact(log_det: str, features: int | None) -> bool:
    """Whether the log-determinant is that of the whole Jacobian; of images, which have no features, when told."""
    if log_det not in ("auto", "exact", "estimate"):
        raise UsageError(f"log_det expects 'auto', 'exact' or 'estimate', got {log_det!r}")
    return log_det == "exact" or (log_det == "auto" and features is not None and features <= MOST_EXACT)
