"""Streams of random numbers that one seed gives, independent of each other and of those of other seeds."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def drawing(seed: int, purpose: str, index: int = 0) -> Iterator[None]:
    """Draw from a stream of PyTorch's, NumPy's and Python's global generators, which are as before afterwards.

    Neighbouring seeds would not do: the stream of one call would be that of the next call for the seed before.

    Args:
        seed: of the whole.
        purpose: what is drawn; each has streams of its own.
        index: of the stream among those.

    Example:
        >>> with drawing(0, "noise", 1):
        ...     noise = torch.rand(1)
        >>> with drawing(1, "noise", 0):
        ...     print(bool(noise == torch.rand(1)))
        False
    """
    words = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), index]).generate_state(3)
    ours, numpys, pythons = (int(word) for word in words)
    before = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(ours)
        np.random.seed(numpys)
        random.seed(pythons)
        try:
            yield
        finally:
            np.random.set_state(before[0])
            random.setstate(before[1])
