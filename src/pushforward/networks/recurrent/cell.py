"""The cell of a long short-term memory."""

from __future__ import annotations

import torch
from torch import Tensor


def lstm_cell(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return the state and the memory that follow, ``c' = sigma(f) c + sigma(i) tanh(g)``, ``h = sigma(o) tanh(c')``.

    Args:
        gates: ``(N, 4 H, ...)``: o, f, i, g.
        memory: ``(N, H, ...)``.

    Source: Hochreiter, Schmidhuber (1997); the order of van den Oord et al. (2016), arXiv:1601.06759.

    Example:
        >>> state, memory = lstm_cell(torch.zeros(1, 4), torch.ones(1, 1))
        >>> memory
        tensor([[0.5000]])
    """
    hidden = memory.shape[1]
    out, forget, enter = torch.sigmoid(gates[:, : 3 * hidden]).chunk(3, dim=1)
    memory = forget * memory + enter * torch.tanh(gates[:, 3 * hidden :])
    return out * torch.tanh(memory), memory
