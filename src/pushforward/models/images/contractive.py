"""Contractive residual flows of images: residual layers at several scales, with squeezes between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from pushforward.distributions import StandardNormal
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning
from pushforward.models.images.architecture import image_shape, squeezable
from pushforward.transforms import ActNorm, Contractive, Dequantization, LogDeterminant, Logit, Squeeze, Transform


def contractive_images(
    shape: Sequence[int],
    levels: int,
    network: Callable[..., nn.Module],
    log_det: LogDeterminant,
    layers: int,
    scales: int,
    given: Conditioning,
) -> Flow:
    """Uniform dequantization and a logit; at each scale ``layers`` residual layers, each behind a normalisation; a
    squeeze between scales, and nothing factored out (Chen et al. 2019, arXiv:1906.02735, appendix)."""
    parts: list[Transform] = [Dequantization(levels), Logit(0.05)]
    size = image_shape(shape)
    for scale in range(scales):
        if scale and squeezable(size):
            parts.append(Squeeze())
            size = parts[-1].forward_shape(size)
        on_plane = partial(network, plane=tuple(size[1:]))
        for _ in range(layers):
            parts += [ActNorm(size[0], event_dims=3), Contractive(on_plane, size, log_det, given.taken)]
    return given.flow([*parts, ActNorm(size[0], event_dims=3)], StandardNormal(size))
