"""NICE and RealNVP, the first coupling flows, for vectors and for images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pushforward.distributions import StandardLogistic, StandardNormal
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.images import nice_image, realnvp_image
from pushforward.models.registry import model
from pushforward.models.standard import vector_flow
from pushforward.networks import MLP
from pushforward.networks.context import Context
from pushforward.scalar import Additive, Affine, ScalarBijection, Scaling
from pushforward.transforms import Coupling, Elementwise, Transform, masks


@model("nice")
def nice(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int = 256,
    context: Context = 0,
    layers: int = 4,
    hidden: int | Sequence[int] = 64,
) -> Flow:
    """NICE: additive couplings, a diagonal scaling and a logistic base, for vectors or images.

    Args:
        features: dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes.
        context: features of the context.
        layers: couplings.
        hidden: widths of the networks' hidden layers, or one width.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516.
    """
    if shape is not None:
        return nice_image(_only(shape, features), levels, context, layers, _width(hidden))
    dimensions = _features(features)
    couplings = vector_couplings(dimensions, Additive(), context, layers, hidden)
    return vector_flow([*couplings, Elementwise(Scaling(), (dimensions,))], StandardLogistic((dimensions,)), context)


@model("realnvp")
def realnvp(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int = 256,
    context: Context = 0,
    layers: int = 4,
    hidden: int | Sequence[int] = 64,
    scales: int = 2,
) -> Flow:
    """RealNVP: affine couplings on vectors, or multi-scale checkerboard and channel couplings on images.

    Args:
        features: dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes.
        context: features of the context.
        layers: couplings, for images of each kind at each scale.
        hidden: widths of the networks' hidden layers, or one width.
        scales: how often an image is squeezed and half of it factored out.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803.
    """
    if shape is not None:
        return realnvp_image(_only(shape, features), levels, context, layers, _width(hidden), scales)
    dimensions = _features(features)
    return vector_flow(
        vector_couplings(dimensions, Affine(), context, layers, hidden), StandardNormal((dimensions,)), context
    )


def vector_couplings(
    features: int, scalar: ScalarBijection, context: Context, layers: int, hidden: int | Sequence[int]
) -> list[Transform]:
    """Coupling layers over alternating masks, the two halves changing in turn."""
    if features == 1:
        raise UsageError("a coupling flow expects at least 2 features, got 1: use an autoregressive flow")
    widths = [hidden, hidden] if isinstance(hidden, int) else hidden
    network = partial(MLP, hidden=widths)
    mask = masks.alternating(features)
    return [Coupling(~mask if index % 2 else mask, scalar, network, context) for index in range(layers)]


def _features(features: int | None) -> int:
    if features is None:
        raise UsageError("expected features= for vectors or shape=(channels, height, width) for images, got neither")
    return features


def _only(shape: Sequence[int], features: int | None) -> Sequence[int]:
    if features is not None:
        raise UsageError(f"expected features= or shape=, got both ({features} and {tuple(shape)})")
    return shape


def _width(hidden: int | Sequence[int]) -> int:
    if isinstance(hidden, int):
        return hidden
    raise UsageError(f"an image flow expects one width as hidden=, got {tuple(hidden)}")
