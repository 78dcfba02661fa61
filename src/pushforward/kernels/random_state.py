"""The state of the random numbers, taken and put back."""

from __future__ import annotations

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
