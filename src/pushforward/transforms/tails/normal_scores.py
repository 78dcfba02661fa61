"""Normal scores: every dimension through its own empirical distribution onto a normal."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import check_start
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection

LEAST_RISE = 1e-6
"""The least distance of two knots, as a part of the distance of those in the middle."""


class NormalScores(Bijection):
    r"""Each dimension through its empirical distribution function and the normal quantile function, ``z_i =
    Phi^-1(F_i(x_i))``, linear between quantiles of the data and beyond the outer ones.

    :meth:`initialise` takes the quantiles from the data; nothing is learned. Until then the layer is the identity.
    Behind it each dimension is close to a standard normal, and what is left to be modelled is the copula.

    Args:
        features: the number of dimensions ``D``.
        knots: how many quantiles, at equal steps of the scores between the most extreme ones that the data reach.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

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
            quantiles = torch.quantile(rows, torch.special.ndtr(scores), dim=0).t()
            self.quantiles.copy_(_rising(quantiles, self.quantiles.dtype))
            self.initialised.fill_(True)
        return super().initialise(x, context)


def _rising(quantiles: Tensor, dtype: torch.dtype) -> Tensor:
    """Quantiles ``(D, K)`` of which those that are equal, or would be as numbers of the type, are moved apart."""
    quarter = quantiles.shape[1] // 4
    # The outer ones, of heavy tails, are no scale for what lies in the middle.
    middle = quantiles[:, -1 - quarter] - quantiles[:, quarter]
    scale = torch.where(middle > 0, middle, quantiles[:, -1] - quantiles[:, 0])
    rise = torch.where(scale > 0, LEAST_RISE * scale, LEAST_RISE * LEAST_RISE)
    moved = [quantiles[:, 0].to(dtype)]
    for quantile in quantiles.unbind(1)[1:]:
        least = torch.nextafter(moved[-1], torch.full_like(moved[-1], torch.inf))
        moved.append(torch.maximum(torch.maximum(quantile, moved[-1] + rise).to(dtype), least))
    return torch.stack(moved, 1)


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
