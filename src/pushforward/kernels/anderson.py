"""Anderson acceleration: the next point of a fixed-point iteration from the last few, each row by itself."""

from __future__ import annotations

import torch
from torch import Tensor


def mixed(image: Tensor, residual: Tensor, moves: Tensor, turns: Tensor) -> Tensor:
    r"""The combination of recent points whose residual is least, were the residual linear between them.

    With the columns ``dR`` of how the residual changed from step to step and ``dY`` of how the image did, it is
    ``y - dY g`` where ``g`` minimises ``|r - dR g|`` (Walker, Ni 2011, Anderson Acceleration for Fixed-Point
    Iterations, equation 2.2), by normal equations whose columns are scaled to length one.

    Args:
        image, residual: ``y`` and ``r = y - x`` of each row, ``(rows, n)``.
        moves, turns: the last changes of ``y`` and of ``r``, ``(rows, m, n)``; what is not there yet is zero.

    Example:
        >>> linear = lambda x: 0.5 * x + 1.0
        >>> first, second = torch.tensor([[0.0]]), torch.tensor([[1.0]])
        >>> residuals = [linear(x) - x for x in (first, second)]
        >>> moves, turns = (linear(second) - linear(first))[:, None], (residuals[1] - residuals[0])[:, None]
        >>> mixed(linear(second), residuals[1], moves, turns).round(decimals=4)
        tensor([[2.]])
    """
    lengths = torch.linalg.vector_norm(turns, dim=-1, keepdim=True)
    scale = torch.where(lengths > 0, lengths, 1.0).reciprocal()
    turns, moves = turns * scale, moves * scale
    products = turns @ turns.transpose(-1, -2)
    # Nearly parallel columns would be weighted by rounding alone.
    ridge = 10.0 * torch.finfo(image.dtype).eps * torch.eye(turns.shape[1], dtype=image.dtype, device=image.device)
    weights = solved(products + ridge, (turns @ residual[..., None])[..., 0])
    return image - (weights[:, None] @ moves)[:, 0]


def solved(matrices: Tensor, right: Tensor) -> Tensor:
    """Solve small positive systems ``(rows, m, m)`` by elimination, without a call for each row.

    Example:
        >>> solved(torch.tensor([[[2.0, 1.0], [1.0, 2.0]]]), torch.tensor([[3.0, 3.0]]))
        tensor([[1., 1.]])
    """
    system = torch.cat([matrices, right[..., None]], -1)
    for index in range(matrices.shape[-1]):
        pivot = system[:, index : index + 1] / system[:, index : index + 1, index : index + 1].clamp_min(1e-30)
        others = torch.ones_like(system[0, :, :1])
        others[index] = 0.0
        factors = system[:, :, index : index + 1] * others
        system = system * others + (1.0 - others) * pivot - factors * pivot
    return system[..., -1]
