"""The distribution of one integer as a sequence of decisions, each a row of integer weights for the entropy coder."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec.exact import tables
from pushforward.codec.exact.fixedpoint import quantise
from pushforward.codec.exact.tables import CDF_BITS, CDF_STEP_BITS, FRACTION_BITS, LOG_SCALES
from pushforward.codec.registry import no_exact_form
from pushforward.distributions.autoregressive.masked import BernoulliMass
from pushforward.distributions.discrete.categorical import CategoricalMass
from pushforward.distributions.discrete.discretized_logistic import DiscretizedLogisticMixture
from pushforward.distributions.discrete.mass import MassFunction
from pushforward.errors import CodecError

Symbols = NDArray[np.int32]
Walk = Generator[NDArray[np.number[Any]], Symbols, Tensor]
"""Yields rows of weights, is sent one symbol a row, and returns the values that the symbols make."""

ESCAPE_BYTES = 4


class IntegerMass(ABC):
    """A mass function whose parameters are fixed-point integers (n, P), in multiples of 2^-14."""

    @abstractmethod
    def walk(self, parameters: Tensor) -> Walk:
        """Go through the decisions that make one value for each row of parameters."""

    @abstractmethod
    def symbols(self, values: Tensor) -> Iterator[Symbols]:
        """The symbols that lead :meth:`walk` to ``values``, in its order."""


@dataclass
class IntegerCategorical(IntegerMass):
    """A free probability for each of the values 0 to classes - 1, the softmax of the parameters by table."""

    classes: int

    def walk(self, parameters: Tensor) -> Walk:
        symbols = yield softmax(parameters).numpy(force=True)
        return torch.from_numpy(symbols.astype(np.int64)).to(parameters.device)

    def symbols(self, values: Tensor) -> Iterator[Symbols]:
        _check_range(values, 0, self.classes - 1)
        yield values.numpy(force=True).astype(np.int32)


@dataclass
class IntegerBernoulli(IntegerMass):
    """Zero or one; the parameter is the logit of one."""

    def walk(self, parameters: Tensor) -> Walk:
        table = _table("logistic_cdf", parameters.device)
        centre = len(table) // 2
        index = (parameters[:, 0].long() >> FRACTION_BITS - CDF_STEP_BITS).clamp(-centre, centre)
        one = table[index + centre]
        symbols = yield _rows((1 << CDF_BITS) - one, one)
        return torch.from_numpy(symbols.astype(np.int64)).to(parameters.device)

    def symbols(self, values: Tensor) -> Iterator[Symbols]:
        _check_range(values, 0, 1)
        yield values.numpy(force=True).astype(np.int32)


@dataclass
class IntegerLogisticMixture(IntegerMass):
    """A mixture of discretized logistics. A value is found by bisection: each decision asks in which half it lies.

    ``middles`` are the components' means where the network emits zero, ``unit`` in multiples of 2^-10 and
    ``log_unit`` what a raw mean and a raw log-scale are multiplied with and shifted by. ``first`` is the smallest value
    and ``depth`` the number of bisections; values outside of these 2^depth are escaped, unless ``bounded``.
    """

    components: int
    middles: Tensor
    unit: int
    log_unit: int
    min_log_scale: int
    first: int
    depth: int
    bounded: bool
    last: int

    def __post_init__(self) -> None:
        # 32 components of 2^48 each are the most whose sums float64 holds exactly.
        if not (1 <= self.components <= 32 and 0 <= self.depth <= 30 and len(self.middles) == self.components):
            raise CodecError(
                "a mixture takes 1 to 32 components, each with its middle: the model is damaged or too large"
            )

    def walk(self, parameters: Tensor) -> Walk:
        cdf = _MixtureCdf(self, parameters)
        count = len(parameters)
        start = torch.full((count,), self.first, dtype=torch.int64, device=parameters.device)
        below, above = cdf(start), cdf(start + 2**self.depth)
        escaped = np.zeros(count, dtype=np.int32)
        if not self.bounded:
            inside = above - below
            escaped = yield _rows(inside, cdf.total - inside)
        for bit in reversed(range(self.depth)):
            middle = start + 2**bit
            between = cdf(middle)
            upper = yield _rows(between - below, above - between)
            chosen = torch.from_numpy(upper).to(start.device).bool()
            start = torch.where(chosen, middle, start)
            below, above = torch.where(chosen, between, below), torch.where(chosen, above, between)
        if escaped.any():
            where = np.flatnonzero(escaped)
            values = np.zeros(len(where), dtype=np.int64)
            for byte in range(ESCAPE_BYTES):
                symbols = yield np.ones((len(where), 256))
                values += symbols.astype(np.int64) << 8 * byte
            start[torch.from_numpy(where)] = torch.from_numpy(values - 2 ** (8 * ESCAPE_BYTES - 1)).to(start.device)
        return start

    def symbols(self, values: Tensor) -> Iterator[Symbols]:
        numbers = values.numpy(force=True).astype(np.int64)
        if self.bounded:
            _check_range(values, self.first, self.last)
        offsets = numbers - self.first
        escaped = (offsets < 0) | (offsets >= 2**self.depth)
        if not self.bounded:
            yield escaped.astype(np.int32)
        offsets[escaped] = 0
        for bit in reversed(range(self.depth)):
            yield (offsets >> bit & 1).astype(np.int32)
        if escaped.any():
            far = numbers[escaped] + 2 ** (8 * ESCAPE_BYTES - 1)
            if far.min() < 0 or far.max() >= 2 ** (8 * ESCAPE_BYTES):
                raise CodecError("a latent is too large to be coded")
            for byte in range(ESCAPE_BYTES):
                yield (far >> 8 * byte & 255).astype(np.int32)


class _MixtureCdf:
    """The mixture's CDF half a step below integers, for one set of parameters, up to a factor ``total``."""

    def __init__(self, mass: IntegerLogisticMixture, parameters: Tensor) -> None:
        device = parameters.device
        count = mass.components
        raw = parameters.T.contiguous()
        if count == 1:
            self.weights = torch.ones_like(raw[:1], dtype=torch.int64)
            raw_means, raw_scales = raw.long().chunk(2)
        else:
            logits, raw_means, raw_scales = raw.long().chunk(3)
            self.weights = softmax(logits.T).T.contiguous()
        self.total = self.weights.sum(0) << CDF_BITS
        # An edge lies half a unit below its integer; folding that in here saves one pass for each edge.
        self.means = (raw_means * mass.unit >> 10) + (mass.middles.to(device)[:, None] + 2 ** (FRACTION_BITS - 1))
        low, high = LOG_SCALES
        step = FRACTION_BITS - 6
        index = (raw_scales + (mass.log_unit + 2 ** (step - 1)) >> step) - 64 * low
        index.clamp_(min=(mass.min_log_scale >> step) - 64 * low).clamp_(0, 64 * (high - low) - 1)
        self.inverse_scales = _table("inverse_scales", device)[index]
        self.cdf = _table("logistic_cdf", device)
        self.centre = len(self.cdf) // 2
        self.bounds = (mass.first, mass.last) if mass.bounded else None

    def __call__(self, edges: Tensor) -> Tensor:
        distance = (edges << FRACTION_BITS) - self.means
        index = distance.clamp_(-(2**28), 2**28).mul_(self.inverse_scales)
        index = index.bitwise_right_shift_(FRACTION_BITS + 24 - CDF_STEP_BITS)
        index = index.add_(self.centre).clamp_(0, 2 * self.centre)
        mass = self.cdf.take(index).mul_(self.weights).sum(0)
        if self.bounds is None:
            return mass
        mass = torch.where(edges <= self.bounds[0], 0, mass)
        return torch.where(edges > self.bounds[1], self.total, mass)


def softmax(logits: Tensor) -> Tensor:
    """Integer weights, 2^20 for the largest logit of each row and at least 1, of fixed-point logits (n, K)."""
    integers = logits.long()
    table = _table("softmax_weights", logits.device)
    index = integers.amax(-1, keepdim=True) - integers >> FRACTION_BITS - 7
    return table[index.clamp_(max=len(table) - 1)]


def window(low: int, high: int) -> tuple[int, int]:
    """The first value and the depth of the smallest bisection that holds ``low`` to ``high``.

    >>> window(-4, 12)
    (-4, 5)
    """
    return low, max(0, math.ceil(math.log2(high - low + 1)))


@singledispatch
def export_mass(mass: MassFunction, levels: int) -> IntegerMass:
    """Return the exact form of a mass function on data of ``levels`` values. ``@export_mass.register`` adds a class.

    Raises:
        UsageError: if none is registered for its class.
    """
    raise no_exact_form(mass, "exact.masses.export_mass")


@export_mass.register
def _(mass: CategoricalMass, levels: int) -> IntegerMass:
    return IntegerCategorical(mass.classes)


@export_mass.register
def _(mass: BernoulliMass, levels: int) -> IntegerMass:
    return IntegerBernoulli()


@export_mass.register
def _(mass: DiscretizedLogisticMixture, levels: int) -> IntegerMass:
    count = mass.components
    offsets = [2.0 * k / (count - 1) - 1.0 for k in range(count)] if count > 1 else [0.0]
    middles = quantise(torch.tensor([mass.center + mass.unit * offset for offset in offsets], dtype=torch.float64))
    bounded = mass.low is not None and mass.high is not None
    # Shifts take latents out of the data's range; twice as wide a window leaves little to be escaped.
    low, high = (mass.low, mass.high) if bounded else (-(levels // 2) - 1, levels + levels // 2 + 1)
    first, depth = window(low, high)  # type: ignore[arg-type]
    return IntegerLogisticMixture(
        components=count,
        middles=middles,
        unit=round(mass.unit * 1024),
        log_unit=round(math.log(mass.unit) * 2**FRACTION_BITS),
        min_log_scale=round(mass.min_log_scale * 2**FRACTION_BITS),
        first=first,
        depth=depth,
        bounded=bounded,
        last=int(high),  # type: ignore[arg-type]
    )


def _table(name: str, device: torch.device) -> Tensor:
    return torch.from_numpy(getattr(tables, name)()).to(device)


def _rows(first: Tensor, second: Tensor) -> NDArray[np.float64]:
    # The coder adds one to each weight, so that a decision without any mass left is an even one.
    return torch.stack([first, second], 1).double().add_(1.0).numpy(force=True)


def _check_range(values: Tensor, low: int, high: int) -> None:
    if len(values) and (int(values.min()) < low or int(values.max()) > high):
        raise CodecError(f"the model codes values from {low} to {high}, got {int(values.min())} to {int(values.max())}")
