"""The trace of the Jacobian of a network of layers, without the Jacobian."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def trace_of_product(weights: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    r"""``trace(W_L A_{L-1} W_{L-1} ... A_1 W_1)`` for each row, where ``A_i = diag(slopes_i)``.

    A trace may be turned round: with ``M = W_1 W_L``, two hidden layers are ``trace(M A_2 W_2 A_1)``, one quadratic
    form of the slopes and the weights ``W_2 * M^T``. It costs what one more layer does, whatever the number of
    dimensions; each hidden layer beyond the second costs ``D`` layers.

    Args:
        weights: ``W_1`` of shape ``(H_1, D)`` to ``W_L`` of shape ``(D, H_{L-1})``.
        slopes: ``(..., H_i)`` for each hidden layer, one at least.

    Example:
        >>> import torch
        >>> first, last, slope = torch.randn(4, 3), torch.randn(3, 4), torch.randn(4)
        >>> bool(torch.isclose(trace_of_product([first, last], [slope]), torch.trace(last @ slope.diag() @ first)))
        True
    """
    first, *inner, last = weights
    if not inner:
        return slopes[0] @ (first * last.T).sum(1)
    if len(inner) == 1:
        form = inner[0] * (first @ last).T
        return ((slopes[0] @ form.T) * slopes[1]).sum(-1)
    columns = slopes[0].unsqueeze(-2) * first.T
    for weight, slope in zip(inner, slopes[1:], strict=True):
        columns = (columns @ weight.T) * slope.unsqueeze(-2)
    return (columns * last).sum((-2, -1))
