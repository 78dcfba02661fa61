"""The grid on which continuous values are coded, and the tables of the distributions that they are coded with."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec.entropy import Table
from pushforward.errors import CodecError

GRID_BITS = 28
"""Continuous values count multiples of 2^-28."""

BINS = 32
"""Bins of a distribution's table for each unit of its scale."""

NOISE_REACH = 8
"""Noise lies within so many times its scale: what is drawn must be harmless, so nothing lies beyond."""

REACH = 32
"""Other distributions have bins up to so many times their scale; one more symbol stands for all that lies beyond."""

FARTHEST = 2.0**30
"""Values beyond are taken for a flow that has lost its way."""

Numbers = NDArray[np.int64]


def as_real(points: Tensor) -> Tensor:
    """Grid points as numbers.

    >>> as_real(torch.tensor([2**28, -(2**27)])).tolist()
    [1.0, -0.5]
    """
    return points.double() * 2.0**-GRID_BITS


def place(mean: Tensor, scale: Tensor) -> tuple[Numbers, Numbers]:
    """The grid point of a mean, and the grid points in a bin of a scale.

    Raises:
        CodecError: if the mean is too far out, or the scale is not finite.
    """
    if not bool((mean.abs() < FARTHEST).all()) or not bool(torch.isfinite(scale).all()):
        raise CodecError("the flow leads too far out to be coded")
    middle = torch.round(mean.reshape(-1) * 2.0**GRID_BITS).long().numpy()
    width = (scale.reshape(-1) * (2.0**GRID_BITS / BINS)).clamp(2.0, 2.0**34).round().long().numpy()
    return middle, codable(width)


def low_bits(sizes: Numbers) -> NDArray[np.int32]:
    """How many low bits are coded by themselves: the coder's 2^24 shares are even for powers of 2 or small sizes."""
    return np.maximum(np.frexp(sizes.astype(np.float64))[1] - 12, 0)


def codable(sizes: Numbers) -> Numbers:
    """The largest sizes up to these, at least 2, whose low bits take all values.

    >>> codable(np.array([1, 1000, 123457])).tolist()
    [2, 1000, 123456]
    """
    low = low_bits(sizes)
    return np.maximum(sizes >> low << low, 2)


@cache
def noise_table() -> Table:
    """Bins of a normal distribution up to :data:`NOISE_REACH` times its scale."""
    return _table(np.diff(_normal_cdf(_edges(NOISE_REACH))))


@cache
def table(family: str) -> Table:
    """Bins of a ``"normal"`` or ``"logistic"`` distribution up to :data:`REACH` times its scale, and what is beyond."""
    edges = _edges(REACH)
    below = _normal_cdf(edges) if family == "normal" else 1 / (1 + np.exp(-edges))
    return _table(np.append(np.diff(below), 1e-9))


def _table(masses: NDArray[Any]) -> Table:
    return Table(np.round(masses * 2**40) + 1)


def _normal_cdf(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges])


def _edges(reach: int) -> NDArray[np.float64]:
    return np.arange(-reach * BINS, reach * BINS + 1) / BINS
