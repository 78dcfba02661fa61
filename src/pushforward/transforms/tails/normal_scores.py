"""Normal scores: every dimension through its own empirical distribution onto a normal."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import check_start
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection

LEAST_RISE = 1e-6
"""The least distance of two knots, as a part of the distance of all."""


class NormalScores(Bijection):
    r"""Each dimension through its empirical distribution function and the normal quantile function, ``z_i =
    Phi^-1(F_i(x_i))``, linear between quantiles of the data and beyond the outer ones.

    :meth:`initialise` takes the quantiles from the data; nothing is learned. Until then the layer is the identity.
    Behind it each dimension is close to a standard normal, and what is left to be modelled is the copula.

    Args:
        features: the number of dimensions ``D``.
        knots: how many quantiles, at equal steps of the scores between the most extreme ones that the data reach.

    Raises:
        UsageError: of fewer than 2 knots.

    Source: van der Waerden (1952), Indagationes Mathematicae 14, for scores; Tagasovska, Ackerer, Vatter (2019),
    arXiv:1906.05423, whose marginals are empirical too.

    Example:
        >>> layer = NormalScores(1)
        >>> z = layer.initialise(torch.exp(torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))))
        >>> abs(z.mean().item()) < 0.02, abs(z.std().item() - 1) < 0.02
        (True, True)
    """

    quantiles: Tensor
    scores: Tensor
    initialised: Tensor

    def __init__(self, features: int, knots: int = 64) -> None:
        super().__init__()
        if knots < 2:
            raise UsageError(f"NormalScores expects at least 2 knots, got {knots}")
        self.domain = self.codomain = Reals((features,))
        grid = torch.linspace(-3.0, 3.0, knots)
        self.register_buffer("quantiles", grid.repeat(features, 1))
        self.register_buffer("scores", grid.clone())
        self.register_buffer("initialised", torch.tensor(False))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        return _interpolated(x, self.quantiles, self.scores.expand_as(self.quantiles))

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        return _interpolated(z, self.scores.expand_as(self.quantiles), self.quantiles)

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(x, context, self.domain)
        if not self.initialised:
            rows = x.reshape(-1, x.shape[-1]).double()
            check_start(rows.t(), "NormalScores")
            most = -torch.special.ndtri(torch.tensor(0.5 / max(len(rows), 2), dtype=torch.float64)).item()
            scores = torch.linspace(-most, most, len(self.scores), dtype=torch.float64, device=x.device)
            self.scores.copy_(scores)
            self.quantiles.copy_(_rising(torch.quantile(rows, torch.special.ndtr(scores), dim=0).t()))
            self.initialised.fill_(True)
        return super().initialise(x, context)


def _rising(quantiles: Tensor) -> Tensor:
    """Quantiles ``(D, K)`` moved apart where several are equal, so that what joins them increases."""
    extent = (quantiles[:, -1:] - quantiles[:, :1]).clamp_min(torch.finfo(torch.float32).tiny)
    extent = torch.maximum(extent, 1e-3 * quantiles.abs().amax(1, keepdim=True)).clamp_min(1e-6)
    steps = torch.arange(quantiles.shape[1], dtype=quantiles.dtype, device=quantiles.device)
    return quantiles + LEAST_RISE * extent * steps


def _interpolated(x: Tensor, knots: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The lines through the points of each dimension, knots and values ``(D, K)``, and the logarithms of their slopes
    summed."""
    columns = x.reshape(-1, x.shape[-1]).t().contiguous()
    last = knots.shape[1] - 1
    right = torch.searchsorted(knots.contiguous(), columns.detach()).clamp(1, last)
    low, high = (knots.gather(1, each) for each in (right - 1, right))
    start, end = (values.gather(1, each) for each in (right - 1, right))
    slope = (end - start) / (high - low)
    mapped = start + (columns - low) * slope
    return mapped.t().reshape(x.shape), torch.log(slope).sum(0).reshape(x.shape[:-1])
