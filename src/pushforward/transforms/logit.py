"""The logit: from the unit interval to the reals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import log_sigmoid_slope, sum_event
from pushforward.scalar.elementary import into_unit_interval
from pushforward.spaces import ANY, Interval, Reals
from pushforward.transforms.base import Bijection


class Logit(Bijection):
    r"""``z = log(v / (1 - v))`` with ``v = alpha / 2 + (1 - alpha) x``, from [0, 1] to the reals.

    The inset ``alpha`` keeps the ends of the interval finite. ``log_det = sum log(1 - alpha) - log v - log(1 - v)``.
    The domain is what the reals are the image of, ``v`` from 0 to 1: a little more than [0, 1].

    Args:
        alpha: the inset, between 0 and 1.
        event_dims: 1 for vectors, 3 for images.

    Raises:
        UsageError: for an inset below 0, or of 1 and more.
        ShapeError: if the input is no vector or, with 3 event dimensions, no image.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057, after Dinh et al. (2016), arXiv:1605.08803.

    Example:
        >>> z, log_det = Logit(event_dims=1)(torch.tensor([0.5, 0.5]))
        >>> z
        tensor([0., 0.])
    """

    def __init__(self, alpha: float = 1e-5, event_dims: int = 3) -> None:
        super().__init__()
        if not 0 <= alpha < 1:
            raise UsageError(f"Logit expects an inset alpha from 0 to below 1, got {alpha}")
        self.alpha = alpha
        beyond = 0.5 * alpha / (1 - alpha)
        shape = [ANY] * event_dims
        self.domain, self.codomain = Interval(0.0 - beyond, 1.0 + beyond, shape), Reals(shape)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        z, log_slope = logit_and_log_slope(x, self.alpha)
        return z, sum_event(log_slope, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.decode(z, context)
        return x, sum_event(log_sigmoid_slope(z) - math.log1p(-self.alpha), self.event_dims)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return (torch.sigmoid(z) - 0.5 * self.alpha) / (1 - self.alpha)


def logit_and_log_slope(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the logit of ``x`` in [0, 1], drawn in by ``alpha``, and the log of its slope, element by element."""
    # The ends themselves, and inputs off them by rounding, take the value of the nearest number inside.
    inset = into_unit_interval(0.5 * alpha + (1 - alpha) * x)
    log_inset, log_rest = torch.log(inset), torch.log1p(-inset)
    return log_inset - log_rest, math.log1p(-alpha) - log_inset - log_rest
