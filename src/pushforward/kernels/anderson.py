"""Anderson acceleration: the next point of a fixed-point iteration from the last few, each row by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mixed(image: Tensor, residual: Tensor, moves: Sequence[Tensor], turns: Sequence[Tensor]) -> Tensor:
    r"""The combination of recent points whose residual is least, were the residual linear between them.

    With the columns ``dR`` of how the residual changed from step to step and ``dY`` of how the image did, it is
    ``y - dY g`` where ``g`` minimises ``|r - dR g|`` (Walker, Ni 2011, Anderson Acceleration for Fixed-Point
    Iterations, equation 2.2), by normal equations.

    Args:
        image, residual: ``y`` and ``r = y - x`` of each row, ``(rows, n)``.
        moves, turns: the last changes of ``y`` and of ``r``, each ``(rows, n)``; what is not there yet is zero.

    Example:
        >>> linear = lambda x: 0.5 * x + 1.0
        >>> first, second = torch.tensor([[0.0]]), torch.tensor([[1.0]])
        >>> residuals = [linear(x) - x for x in (first, second)]
        >>> move, turn = linear(second) - linear(first), residuals[1] - residuals[0]
        >>> mixed(linear(second), residuals[1], [move], [turn]).round(decimals=4)
        tensor([[2.]])
    """
    products = [[(a * b).sum(-1) for b in turns[: i + 1]] for i, a in enumerate(turns)]
    matrix = [[products[max(i, j)][min(i, j)] for j in range(len(turns))] for i in range(len(turns))]
    # Nearly parallel columns would be weighted by rounding alone.
    ridge = 1.0 + 10.0 * torch.finfo(image.dtype).eps
    for i in range(len(turns)):
        matrix[i][i] = matrix[i][i] * ridge
    weights = solved(matrix, [(turn * residual).sum(-1) for turn in turns])
    for weight, move in zip(weights, moves, strict=True):
        image = torch.addcmul(image, weight[:, None], move, value=-1.0)
    return image


def solved(matrix: Sequence[Sequence[Tensor]], right: Sequence[Tensor]) -> list[Tensor]:
    """Solve a small positive system for each row by elimination; an unknown of a column of zeros is zero.

    Entries are tensors of the rows: batches of small matrices would take a call of the solver for each row.

    Example:
        >>> two, one, three = torch.tensor([2.0]), torch.tensor([1.0]), torch.tensor([3.0])
        >>> solved([[two, one], [one, two]], [three, three])
        [tensor([1.]), tensor([1.])]
    """
    if not right:
        return []
    (pivot, *row), tiny = matrix[0], torch.finfo(right[0].dtype).tiny
    pivot = pivot.clamp_min(tiny)
    factors = [below[0] / pivot for below in matrix[1:]]
    rest = [
        [a - factor * b for a, b in zip(below[1:], row, strict=True)]
        for below, factor in zip(matrix[1:], factors, strict=True)
    ]
    others = solved(rest, [b - factor * right[0] for b, factor in zip(right[1:], factors, strict=True)])
    first = right[0] - sum((a * x for a, x in zip(row, others, strict=True)), torch.zeros_like(right[0]))
    return [first / pivot, *others]
