"""The state of the random numbers, taken, put back and gone through again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state(device: torch.device, generator: torch.Generator | None = None) -> list[Tensor]:
    """The state of the CPU's generator, of the device's where it is another one, and of ``generator``."""
    state = [torch.get_rng_state()]
    state += [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return state if generator is None else [*state, generator.get_state()]


def set_random_state(state: list[Tensor], generator: torch.Generator | None = None) -> None:
    """Put back what `random_state` gave."""
    *state, own = state if generator is not None else [*state, state[0]]
    if generator is not None:
        generator.set_state(own.cpu())
    torch.set_rng_state(state[0].cpu())
    if len(state) > 1:
        torch.cuda.set_rng_state(state[1].cpu())


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
