"""Generated waveforms: tones and chirps in noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.scalar.arguments import check_counts

FREQUENCIES = (0.02, 0.1)
"""The lowest and the highest frequency, in cycles per sample."""
NOISE = 0.05
"""The standard deviation of the noise; the waves' amplitude is 1."""


def tones(count: int, length: int = 64, generator: torch.Generator | None = None) -> Tensor:
    r"""Waves of one frequency, ``x_t = sin(2 pi f t + phi) + 0.05 e_t``, with ``f`` even on ``[0.02, 0.1]`` cycles per
    sample, ``phi`` even on the circle and ``e`` normal: ``(count, length)``.

    Raises:
        UsageError: if the count is negative or the length not positive.

    Example:
        >>> tones(3, 16).shape
        torch.Size([3, 16])
    """
    _check("tones", count, length)
    frequency = _even(count, FREQUENCIES, generator)
    return _in_noise(frequency * torch.arange(length), generator)


def chirps(count: int, length: int = 64, generator: torch.Generator | None = None) -> Tensor:
    r"""Waves whose frequency goes evenly from ``f`` to ``g``, ``x_t = sin(2 pi (f t + (g - f) t^2 / 2 T) + phi) + 0.05
    e_t``, with ``f`` and ``g`` even on ``[0.02, 0.1]`` cycles per sample: ``(count, length)``.

    Raises:
        UsageError: if the count is negative or the length not positive.

    Example:
        >>> chirps(3, 16).shape
        torch.Size([3, 16])
    """
    _check("chirps", count, length)
    first, last = (_even(count, FREQUENCIES, generator) for _ in range(2))
    moments = torch.arange(length)
    return _in_noise(first * moments + (last - first) * moments.square() / (2 * length), generator)


def _check(owner: str, count: int, length: int) -> None:
    check_counts(owner, least=0, count=count)
    check_counts(owner, length=length)


def _in_noise(cycles: Tensor, generator: torch.Generator | None) -> Tensor:
    phase = _even(len(cycles), (0.0, 1.0), generator)
    wave = torch.sin(2 * math.pi * (cycles + phase))
    return wave + NOISE * torch.randn(wave.shape, generator=generator)


def _even(count: int, ends: tuple[float, float], generator: torch.Generator | None) -> Tensor:
    low, high = ends
    return low + (high - low) * torch.rand(count, 1, generator=generator)
