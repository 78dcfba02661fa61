"""Correlation matrices from unconstrained numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import bounded

MAX_ENTRY = 20.0


def correlation_factor(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower Cholesky factor ``L`` of a correlation matrix and ``log det L``; zeros give the identity.

    Its rows are those of a unit triangular matrix, scaled to length 1: every correlation matrix is reached whose
    entries stay below the bound.

    Args:
        raw: unconstrained numbers ``(D, D)``, of which those below the diagonal count.

    Example:
        >>> factor, _ = correlation_factor(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        >>> (factor @ factor.mT).round(decimals=4)
        tensor([[1.0000, 0.7067],
                [0.7067, 1.0000]])
    """
    rows = bounded(raw, MAX_ENTRY).tril(-1) + torch.eye(raw.shape[-1], dtype=raw.dtype, device=raw.device)
    lengths = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / lengths, -torch.log(lengths).sum()


def whitened(x: Tensor, factor: Tensor) -> Tensor:
    """``L^-1 x`` for vectors ``(..., D)``."""
    rows = x.reshape(-1, x.shape[-1])
    return torch.linalg.solve_triangular(factor.mT, rows, upper=True, left=False).reshape(x.shape)
