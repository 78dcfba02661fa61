"""How the knots around a value are found: in compiled code, without it, and where derivatives of every kind are wanted.

What they are is said in :mod:`pushforward.scalar.splines.rational_quadratic`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pushforward.kernels.spline_bins import Bins, Knots
from pushforward.kernels.spline_search import is_searchable, searched_knots
from pushforward.kernels.spline_unrolled import unrolled_knots

Result = TypeVar("Result")


def knots_around(
    textbook: Callable[[Tensor, int, Tensor], Knots], value: Tensor, axis: int, parameters: Tensor, bins: Bins
) -> Knots:
    """The knots of each value's bin: by the textbook's function, searched for, or unrolled in compiled code."""
    if torch.compiler.is_compiling():
        return unrolled_knots(value, axis, parameters, bins)
    if is_searchable(value, parameters):
        return searched_knots(value, axis, parameters, bins)
    return textbook(value, axis, parameters)


def computed_again(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function; where compiled code takes gradients through it, it is computed again for them.

    One loop over the elements computes all again faster than memory gives back what was kept of it.
    """
    if torch.compiler.is_compiling() and torch.is_grad_enabled():
        return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)
    return function(*arguments)
