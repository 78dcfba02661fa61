"""A network of a distribution function in one dimension whose training keeps it from decreasing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.distributions.cumulative.base import CumulativeNetwork, log_slopes_of, neighbour_slopes, raw_of
from pushforward.errors import UsageError
from pushforward.numerics import check_start, uniform_noise
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.elementary import into_unit_interval
from pushforward.scalar.root import solve
from pushforward.spaces import Reals

POINTS = 256
"""At so many neighbouring points, over the data and a margin around them, the network is looked at for decreases."""

MARGIN = 0.5
"""The margin on either side, in units of the data's extent."""


class PenalisedNetwork(CumulativeNetwork):
    r"""A network of one hidden layer with weights of any sign as a distribution function in one dimension, ``H(x) =
    F(x) / F(inf)`` with ``F(x) = sum_k w_k sigmoid(v_k (x - m_k))``.

    The slopes ``v`` are positive, without loss: a unit that decreases is a constant less one that increases. Nothing
    keeps the network from decreasing but the penalty that its training puts on that (:meth:`decrease`). The density is
    ``H'(x)``, and zero where that is negative, so its mass is more than 1 by the mass of those places: 1 where the
    training has left none. Samples are the roots of ``H(x) = u``, for uniform ``u``.

    Args:
        features: 1.
        units: the number of hidden units ``K``.

    Shapes: ``x`` is ``(..., 1)``, its log-density ``(...)``.

    Raises:
        UsageError: for another number of features, or no unit.

    Source: Magdon-Ismail, Atiya (2002), Density estimation and random variate generation using multilayer networks,
    IEEE Transactions on Neural Networks 13, 497-520.

    Example:
        >>> base = PenalisedNetwork(1, units=4)
        >>> base.initialise(torch.randn(200, 1))
        >>> bool(base.cdf(torch.tensor([[50.0]])).isclose(torch.ones(())))
        True
    """

    reparametrised = False
    initialised: Tensor

    def __init__(self, features: int = 1, units: int = 16) -> None:
        super().__init__()
        check_counts("PenalisedNetwork", units=units)
        if features != 1:
            raise UsageError(
                f"PenalisedNetwork expects features=1, got {features}: IncreasingNetwork is for several dimensions"
            )
        self.support = Reals((1,))
        self.weights = nn.Parameter(torch.ones(units))
        self.centers = nn.Parameter(torch.linspace(-2.0, 2.0, units))
        self.raw_slopes = nn.Parameter(torch.zeros(units))
        self.register_buffer("initialised", torch.tensor(False))

    def cdf(self, x: Tensor) -> Tensor:
        return self._cdf_and_slope(x[..., 0])[0]

    def decrease(self, x: Tensor) -> Tensor:
        low, high = x.min(), x.max()
        margin = MARGIN * (high - low)
        steps = torch.linspace(0.0, 1.0, POINTS, dtype=x.dtype, device=x.device)
        values = self.cdf((low - margin + (high - low + 2.0 * margin) * steps)[:, None])
        return nn.functional.relu(values[:-1] - values[1:]).sum()

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        slope = self._cdf_and_slope(x[..., 0])[1]
        rising = slope > 0
        return torch.where(rising, torch.log(torch.where(rising, slope, 1.0)), -torch.inf)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        level = torch.sigmoid(temperature * torch.logit(uniform_noise(self.weights, batch, generator)))
        guess = torch.full_like(level, 8.0)
        return solve(self._increasing, into_unit_interval(level), -guess, guess)[..., None]

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        if self.initialised:
            return
        rows = x.reshape(-1, 1)
        check_start(rows.t(), "PenalisedNetwork")
        units = len(self.weights)
        levels = (torch.arange(units, dtype=torch.float64, device=rows.device) + 0.5) / units
        self.centers.copy_(torch.quantile(rows[:, 0].double(), levels))
        self.raw_slopes.copy_(raw_of(neighbour_slopes(self.centers[:, None], rows))[:, 0])
        self.initialised.fill_(True)

    def _increasing(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = self._cdf_and_slope(x)
        return value, torch.log(slope.clamp_min(torch.finfo(slope.dtype).tiny))

    def _cdf_and_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        slopes = torch.exp(log_slopes_of(self.raw_slopes))
        inner = slopes * (x[..., None] - self.centers)
        on, total = torch.sigmoid(inner), self.weights.sum()
        slope = (self.weights * slopes * on * torch.sigmoid(-inner)).sum(-1)
        return (self.weights * on).sum(-1) / total, slope / total
