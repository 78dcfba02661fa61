"""Integer tables of what a portable model needs, exp and the logistic CDF: the same bits on every machine.

They are computed in big-integer arithmetic, never with a machine's own libm, whose last bit differs between machines.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

FRACTION_BITS = 14
"""Fixed-point numbers in a portable model count multiples of 2^-14."""

CDF_BITS = 28
"""A logistic CDF of 1 is 2^28."""

CDF_STEP_BITS = 11
"""The logistic table has one entry for each 2^-11 of its argument..."""

CDF_RANGE = 20
"""... from -20 to 20; beyond, the mass left (2e-9) is under one unit in 2^28."""

SOFTMAX_BITS = 20
"""The largest weight of a softmax is 2^20."""

LOG_SCALES = (-7, 10)
"""The range of the logarithm of a scale, in steps of 2^-6."""

_GUARD = 160


def _exp_minus(step_bits: int, count: int) -> list[int]:
    """exp(-i / 2^step_bits) for i = 0..count-1, as integers of _GUARD fractional bits."""
    # exp(-h) by its Taylor series: |h| < 1, so 60 terms leave less than 2^-_GUARD.
    one = 1 << _GUARD
    term, total = one, one
    for n in range(1, 60):
        term = -term * 1 // (n << step_bits)
        total += term
    values, value = [], one
    for _ in range(count):
        values.append(value)
        value = value * total >> _GUARD
    return values


@cache
def logistic_cdf() -> NDArray[np.int64]:
    """1 / (1 + exp(-u)) in units of 2^-28, for u = (i - centre) / 2^11 with the centre in the middle."""
    one = 1 << _GUARD
    half = CDF_RANGE << CDF_STEP_BITS
    full = 1 << CDF_BITS
    upper = [(one << CDF_BITS) // (one + value) for value in _exp_minus(CDF_STEP_BITS, half + 1)]
    lower = [full - value for value in reversed(upper[1:])]
    table = np.array(lower + upper, dtype=np.int64)
    # The ends are exactly 0 and 1, so the mass beyond the table goes to the outermost symbols.
    table[0], table[-1] = 0, full
    return table


@cache
def softmax_weights() -> NDArray[np.int64]:
    """exp(-u) in units of 2^-20 for u = i / 2^7, i = 0 .. 1791; never below 1."""
    return np.array([max(1, value >> (_GUARD - SOFTMAX_BITS)) for value in _exp_minus(7, 14 << 7)], dtype=np.int64)


@cache
def inverse_scales() -> NDArray[np.int64]:
    """exp(-u) in units of 2^-24 for u = i / 2^6 - 7, i = 0 .. 1087: what a log-scale divides by."""
    one = 1 << _GUARD
    low, high = LOG_SCALES
    growing = [(one << 24) // value for value in _exp_minus(6, -low * 64 + 1)[1:]]
    return np.array(
        [*reversed(growing), *[value >> (_GUARD - 24) for value in _exp_minus(6, high * 64)]], dtype=np.int64
    )
