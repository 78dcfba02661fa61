"""Numbers that all processes of a training share."""

from __future__ import annotations

import math

import torch


def from_first_process(value: float, device: torch.device) -> float:
    """The first process's value, in every process."""
    if not torch.distributed.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    torch.distributed.broadcast(shared, 0)
    return shared.item()


def mean_over_processes(total: float, count: int, device: torch.device) -> float:
    """The mean from every process's sum and count; NaN of nothing."""
    if torch.distributed.is_initialized():
        shared = torch.tensor([total, count], dtype=torch.float64, device=device)
        torch.distributed.all_reduce(shared)
        total, count = shared.tolist()
    return total / count if count else math.nan
