"""Computing once more what was computed before: the same random numbers, precision and running statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.random_state import random_state, set_random_state

HALF = (torch.float16, torch.bfloat16)


@contextmanager
def replayed(state: list[Tensor], device: torch.device, generator: torch.Generator | None = None) -> Iterator[None]:
    """Draw from a state that `random_state` gave, and afterwards go on from where the numbers were.

    Example:
        >>> cpu = torch.device("cpu")
        >>> state, first = random_state(cpu), torch.rand(3)
        >>> with replayed(state, cpu):
        ...     print(torch.equal(torch.rand(3), first))
        True
    """
    now = random_state(device, generator)
    set_random_state(state, generator)
    try:
        yield
    finally:
        set_random_state(now, generator)


@contextmanager
def same_buffers(module: nn.Module) -> Iterator[None]:
    """Put the buffers of a module in training back afterwards: running statistics count a batch once."""
    buffers = [each for each in module.buffers() if each.is_floating_point()] if module.training else []
    before = [(buffer, buffer.clone(), buffer._version) for buffer in buffers]
    yield
    with torch.no_grad():
        for buffer, value, version in before:
            if buffer._version != version:
                buffer.copy_(value)


def autocast_state(kind: str) -> dict[str, Any]:
    """The state of autocast as its constructor takes it, without the cache: what it keeps of weights that were cast
    without gradients would be taken for those with gradients."""
    return {
        "device_type": kind,
        "dtype": torch.get_autocast_dtype(kind),
        "enabled": torch.is_autocast_enabled(kind),
        "cache_enabled": False,
    }


def check_precision(tensors: Sequence[Tensor], kind: str) -> None:
    """Raise :class:`UsageError` where numbers are too coarse to find activations again."""
    coarse = next((each.dtype for each in tensors if each.dtype in HALF), None)
    if coarse is None and torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16:
        coarse = torch.float16
    if coarse is not None:
        name = str(coarse).removeprefix("torch.")
        raise UsageError(
            f"recomputation in constant memory expects float32, float64 or autocast to bfloat16, got {name}, in which "
            f"activations are found again too coarsely: take float32, or ordinary memory"
        )
