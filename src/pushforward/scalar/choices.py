"""Choices between categories that learn what each of them would cost."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def learned_choice(logits: Tensor) -> Tensor:
    r"""Return zeros of the shape of ``logits`` ``(..., K)``, to be added to what a choice of the largest of them leads
    to, where category ``k`` would have led to: what stands in for the choice's gradient, which is zero.

    It takes the gradient ``g`` that arrives, of the loss by each category, for what each would cost, and has the logits
    learn the negative of it by least squares,

    .. math:: \frac{\partial}{\partial l_k} := g_k - \bar g + s\,(l_k - \bar l),
        \qquad s = \sqrt{\tfrac1K \textstyle\sum_k (g_k - \bar g)^2}.

    Where it vanishes on average, ``l - mean(l) = -E[g - mean(g)] / E[s]``: the largest logit is that of the category
    of least expected cost. A softmax in the place of the choice ends elsewhere: it is sure of the category that suits
    the average of all contexts, and has no gradient left, before a network has learned what the contexts are.

    The straight-through gradient (Bengio, Leonard, Courville 2013, arXiv:1308.3432) is the first part of it alone,
    under which logits grow without bound.

    Example:
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> (learned_choice(logits) * torch.tensor([1.0, 2.0, 6.0])).sum().backward()
        >>> logits.grad
        tensor([-2., -1.,  3.])
    """
    return _Choice.apply(logits)  # type: ignore[no-any-return]


class _Choice(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor) -> Tensor:
        return torch.zeros_like(logits)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (logits,) = ctx.saved_tensors
        costs = gradient - gradient.mean(-1, keepdim=True)
        size = costs.square().mean(-1, keepdim=True).sqrt()
        return costs + size * (logits - logits.mean(-1, keepdim=True))
