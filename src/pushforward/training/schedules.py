"""Learning-rate schedules as functions of how far the training has come."""

from __future__ import annotations

import math
from collections.abc import Callable

#: What the cosine and the exponential schedule end at, as a share of the full rate.
FINAL_SHARE = 0.01


def constant(progress: float) -> float:
    """Always the full rate."""
    return 1.0


def cosine(progress: float) -> float:
    """Half a cosine from 1 down to the final share (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts).

    Example:
        >>> cosine(0.0), round(cosine(1.0), 6)
        (1.0, 0.01)
    """
    return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * progress))


def exponential(progress: float) -> float:
    """A geometric decay from 1 down to the final share.

    Example:
        >>> round(exponential(0.5), 6)
        0.1
    """
    return FINAL_SHARE**progress


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine, "exponential": exponential}
