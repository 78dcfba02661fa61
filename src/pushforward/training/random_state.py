"""The state of the global random numbers, taken and put back."""

from __future__ import annotations

import torch
from torch import Tensor


def random_state(device: torch.device) -> list[Tensor]:
    """The state of the CPU's generator, and of the device's where it is another one."""
    state = [torch.get_rng_state()]
    return [*state, torch.cuda.get_rng_state(device)] if device.type == "cuda" else state


def set_random_state(state: list[Tensor]) -> None:
    """Put back what `random_state` gave."""
    torch.set_rng_state(state[0].cpu())
    if len(state) > 1:
        torch.cuda.set_rng_state(state[1].cpu())
