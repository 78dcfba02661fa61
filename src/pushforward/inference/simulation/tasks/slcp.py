"""Simple likelihood, complex posterior."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.inference.simulation.tasks.task import cube


class SLCP:
    r"""Four points of a normal in two dimensions whose mean and covariance five parameters make.

    Mean ``(t_1, t_2)``, standard deviations ``t_3^2`` and ``t_4^2``, correlation ``tanh t_5``; the prior is uniform on
    ``[-3, 3]^5``. Four parameters have posteriors of several modes.

    Source: Papamakarios, Sterratt, Murray (2019), arXiv:1805.07226; task T.3 of Lueckmann et al. (2021),
    arXiv:2101.04653.

    Example:
        >>> SLCP()(torch.ones(3, 5)).shape
        torch.Size([3, 8])
    """

    # What the published simulator adds to the variances.
    FLOOR = 1e-6

    def __init__(self) -> None:
        self.prior = cube(5, 3.0)

    def __call__(self, theta: Tensor) -> Tensor:
        mean, scales, correlation = theta[:, :2], theta[:, 2:4].square(), torch.tanh(theta[:, 4])
        first = torch.sqrt(scales[:, 0].square() + self.FLOOR)
        across = correlation * scales.prod(-1) / first
        second = torch.sqrt(scales[:, 1].square() + self.FLOOR - across.square())
        one, other = torch.randn(2, len(theta), 4).unbind(0)
        points = torch.stack([first[:, None] * one, across[:, None] * one + second[:, None] * other], -1)
        return (mean[:, None] + points).flatten(1)
