"""How continuous flows of images are put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from pushforward.distributions import StandardNormal
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning
from pushforward.models.images.architecture import image_shape
from pushforward.transforms import ActNorm, Continuous, Dequantization, DormandPrince, Hutchinson, Logit


def continuous_images(
    shape: Sequence[int],
    levels: int,
    velocity: Callable[..., nn.Module],
    layers: int,
    given: Conditioning,
    solver: DormandPrince,
) -> Flow:
    """Return velocities in turn, their traces estimated, behind dequantization, logit and a normalisation."""
    shape = image_shape(shape)
    parts = [Continuous(velocity, shape, solver, Hutchinson(), context=given.taken) for _ in range(layers)]
    start = [Dequantization(levels), Logit(0.05), ActNorm(shape[0], event_dims=3)]
    return given.flow([*start, *parts], StandardNormal(shape))
