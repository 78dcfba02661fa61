"""The grid on which continuous values are coded, and the tables of the distributions that they are coded with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec.entropy import Table
from pushforward.errors import CodecError

GRID_BITS = 22
"""Continuous values count multiples of 2^-22: finer costs the first events of a block bits, coarser bends layers."""

BINS = 32
"""Bins of a distribution's table for each unit of its scale."""

NOISE_BINS = 4
"""The same for noise, whose bins cost nothing by being wide: what it is drawn from, it is given back to."""

NOISE_REACH = 8
"""Normal noise lies within so many times its scale: what is drawn must be harmless, so nothing lies beyond."""

LOGISTIC_REACH = 16
"""The same for logistic noise."""

REACH = 32
"""Other distributions have bins up to so many times their scale; one more symbol stands for all that lies beyond."""

_WIDE = 2**11

FARTHEST = 2.0**30
"""Values beyond are taken for a flow that has lost its way."""

Numbers = NDArray[np.int64]


def as_real(points: Tensor) -> Tensor:
    """Grid points as numbers.

    >>> as_real(torch.tensor([2**22, -(2**21)])).tolist()
    [1.0, -0.5]
    """
    return points.double() * 2.0**-GRID_BITS


@dataclass(frozen=True)
class Bins:
    """Bins of grid points around places: bin ``k`` has the points from ``round(middle + k width)`` on, up to those of
    the next. Widths are no whole numbers, so that noise is as wide on one side of a layer as the other side says."""

    middle: NDArray[np.float64]
    width: NDArray[np.float64]

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Bins:
        return Bins(self.middle[chosen], self.width[chosen])

    def __len__(self) -> int:
        return len(self.middle)

    def edges(self, places: Numbers | int) -> Numbers:
        """The first points of bins."""
        return np.floor(self.middle + places * self.width + 0.5).astype(np.int64)

    def of(self, points: Numbers) -> Numbers:
        """The bins of points."""
        places = np.ceil((points + 0.5 - self.middle) / self.width).astype(np.int64) - 1
        # The quotient's rounding may lead into a bin beside.
        places -= points < self.edges(places)
        return np.asarray(places + (points >= self.edges(places + 1)))


def place(mean: Tensor, scale: Tensor, bins: int = BINS) -> Bins:
    """The bins of distributions around means, of which ``bins`` make one scale.

    Raises:
        CodecError: if a mean is too far out, or a scale is not finite.
    """
    if not bool((mean.abs() < FARTHEST).all()) or not bool(torch.isfinite(scale).all()):
        raise CodecError("the flow leads too far out to be coded")
    middle = (mean.reshape(-1) * 2.0**GRID_BITS).numpy()
    width = (scale.reshape(-1) * (2.0**GRID_BITS / bins)).clamp(2.0, 2.0**34).numpy()
    # Of wide bins all sizes are the same and codable.
    wide = width >= _WIDE
    return Bins(np.where(wide, np.round(middle), middle), np.where(wide, codable(width.astype(np.int64)), width))


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


@dataclass(frozen=True)
class Noise:
    """A distribution to draw from the stack: its table, the bins of one scale, and the bins on each side."""

    table: Table
    bins: int
    reach: int


@cache
def normal_noise() -> Noise:
    """A normal distribution up to :data:`NOISE_REACH` times its scale."""
    edges = _edges(NOISE_REACH, NOISE_BINS)
    return Noise(_table(np.diff(_normal_cdf(edges))), NOISE_BINS, NOISE_REACH * NOISE_BINS)


@cache
def logistic_noise() -> Noise:
    """A logistic distribution up to :data:`LOGISTIC_REACH` times its scale."""
    edges = _edges(LOGISTIC_REACH, BINS)
    return Noise(_table(np.diff(_logistic_cdf(edges))), BINS, LOGISTIC_REACH * BINS)


@cache
def table(family: str) -> Table:
    """Bins of a ``"normal"`` or ``"logistic"`` distribution up to :data:`REACH` times its scale, and what is beyond."""
    return _prior_table(family, BINS)


@cache
def noise_table() -> Table:
    """What data are encoded by where a layer takes them: noise of :data:`NOISE_BINS`, and what is beyond."""
    return _prior_table("normal", NOISE_BINS)


def _prior_table(family: str, bins: int) -> Table:
    edges = _edges(REACH, bins)
    below = _normal_cdf(edges) if family == "normal" else _logistic_cdf(edges)
    return _table(np.append(np.diff(below), 1e-9))


def _table(masses: NDArray[Any]) -> Table:
    return Table(np.round(masses * 2**40) + 1)


def _normal_cdf(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges])


def _logistic_cdf(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-edges)))


def _edges(reach: int, bins: int) -> NDArray[np.float64]:
    return np.arange(-reach * bins, reach * bins + 1) / bins
