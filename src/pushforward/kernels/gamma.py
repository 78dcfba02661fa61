"""Gamma numbers from a generator of one's own, which torch's public functions do not take."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import at_least_single


def standard_gamma(concentration: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw one number for each concentration, with gradients, at rate 1; in half precision too.

    Example:
        >>> standard_gamma(torch.full((3,), 2.0), torch.Generator().manual_seed(0)).shape
        torch.Size([3])
    """
    return torch._standard_gamma(at_least_single(concentration), generator=generator).to(concentration.dtype)
