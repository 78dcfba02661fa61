"""The seed of a training."""

from __future__ import annotations

import torch

from pushforward.seeds import check_seed


def seeded(seed: int | None) -> int:
    """Set the global random state by a seed and return it; None leaves the state to go on, and draws a seed from it.

    Example:
        >>> seeded(7), int(torch.initial_seed())
        (7, 7)
    """
    if seed is None:
        return int(torch.randint(2**31, ()))
    seed = check_seed("seed", seed)
    torch.manual_seed(seed)
    return seed
