"""Floating-point numbers as the integers that count them in order: what bisection halves when it must end for sure.

Between any two numbers of float32 lie at most 2^32 others and of float64 at most 2^64, so that this many bits are as
many halvings as any bracket takes, however wide it is and wherever zero lies in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def rank(x: Tensor) -> Tensor:
    """The integer of ``x`` in the order of all numbers of its type: neighbours differ by 1, ``0.0`` has 0.

    Example:
        >>> one = torch.tensor(1.0)
        >>> (rank(torch.nextafter(one, 2 * one)) - rank(one)).item(), rank(-one) < rank(one)
        (1, tensor(True))
    """
    return _flip_negative(x.view(_INTEGERS[x.element_size()]))


def number(rank: Tensor, dtype: torch.dtype) -> Tensor:
    """The number of this type that has this rank: the inverse of :func:`rank`.

    Example:
        >>> number(rank(torch.tensor([-0.3, 1e30])), torch.float32)
        tensor([-3.0000e-01,  1.0000e+30])
    """
    return _flip_negative(rank).view(dtype)


def halfway(low: Tensor, high: Tensor) -> Tensor:
    """The integer half-way between two, without overflow."""
    return (low >> 1) + (high >> 1) + (low & high & 1)


def _flip_negative(bits: Tensor) -> Tensor:
    # Negative numbers are stored as sign and size: their order is the opposite of their bits'.
    info = torch.iinfo(bits.dtype)
    return bits ^ ((bits >> (info.bits - 1)) & info.max)
