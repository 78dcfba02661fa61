"""The logit: from the unit interval to the reals."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.transforms.base import Bijection, sum_event


class Logit(Bijection):
    r"""``z = log(v / (1 - v))`` with ``v = alpha / 2 + (1 - alpha) x``, from [0, 1] to the reals.

    The inset ``alpha`` keeps the ends of the interval finite. ``log_det = sum log(1 - alpha) - log v - log(1 - v)``.
    The inverse maps latents beyond the image of [0, 1] outside of it, as an affine map must.

    Args:
        alpha: the inset, between 0 and 1.
        event_dims: 1 for vectors, 3 for images.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057, after Dinh et al. (2016), arXiv:1605.08803.

    Example:
        >>> z, log_det = Logit(event_dims=1)(torch.tensor([0.5, 0.5]))
        >>> z
        tensor([0., 0.])
    """

    def __init__(self, alpha: float = 1e-5, event_dims: int = 3) -> None:
        super().__init__()
        self.alpha = alpha
        self.event_dims = event_dims

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = logit_and_log_slope(x, self.alpha)
        return z, sum_event(log_slope, self.event_dims)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = (torch.sigmoid(z) - 0.5 * self.alpha) / (1 - self.alpha)
        return x, sum_event(log_sigmoid_slope(z) - math.log1p(-self.alpha), self.event_dims)


def logit_and_log_slope(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the logit of ``x`` in [0, 1], drawn in by ``alpha``, and the log of its slope, element by element."""
    # Inputs off the interval by rounding, or far off it, meet its edge: the logit has no value there.
    inset = (0.5 * alpha + (1 - alpha) * x).clamp(min=0.25 * alpha, max=1 - 0.25 * alpha)
    log_inset, log_rest = torch.log(inset), torch.log1p(-inset)
    return log_inset - log_rest, math.log1p(-alpha) - log_inset - log_rest


def log_sigmoid_slope(z: Tensor) -> Tensor:
    """Return ``log sigmoid'(z) = -softplus(z) - softplus(-z)``.

    Example:
        >>> log_sigmoid_slope(torch.tensor(0.0)).exp().item()
        0.25
    """
    return -F.softplus(z) - F.softplus(-z)
