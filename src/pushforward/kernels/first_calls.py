"""The first call of each elementwise function, made by one thread before anybody counts on its values."""

from __future__ import annotations

from functools import cache

import torch

FUNCTIONS = (
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "erf", "erfc", "erfinv"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
)


@cache
def make_first_calls() -> None:
    """Call the functions that PyTorch takes from MKL's vector library once, in both precisions: a millisecond.

    The library chooses a function's program at its first call. Where several threads make that call at once, one of
    them can get a program with an error of 1e-4, for this call alone
    (https://github.com/pytorch/pytorch/issues/188792): a density that differs between two runs, and bits coded with
    probabilities that the decoder doesn't have.

    Example:
        >>> make_first_calls()
    """
    for dtype in (torch.float32, torch.float64):
        number = torch.full((1,), 0.5, dtype=dtype, device="cpu")
        for name in FUNCTIONS:
            getattr(torch, name)(number)
