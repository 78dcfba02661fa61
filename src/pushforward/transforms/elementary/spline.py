"""Each dimension onto a normal: a monotone spline through quantiles of the data."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.scalar.splines.box import find_bin
from pushforward.scalar.splines.rational_quadratic import forward_in_bin, inverse_in_bin
from pushforward.transforms.elementary.placed import Placed

SAME = 1e-4
"""Quantiles that are nearer to each other than this, as a part of the standard deviation, are one value of which there
are many."""

MOST_SLOPE = 20.0
"""How much a spline stretches a difference at most, in standard deviations: what is denser takes several of them."""


class PlacedSpline(Placed):
    r"""Each dimension by itself onto a normal, ``z_i = s_i(x_i)``, by a spline that increases from quantiles of the
    data to those of a normal.

    :meth:`initialise` takes the knots from the data: quantiles at equal steps of the normal score, which reach as far
    as the data do. Between them the spline is rational-quadratic, whose slope at a knot is the harmonic mean of those
    beside it; beyond them it is a line, at most as steep as the standard deviation makes it, so that what lies a little
    beyond the data does not go far out.

    A value of which there are many, where the distribution jumps, goes to the middle of its scores, and the spline is
    between such values as steep as from one middle to the next: it does not stretch what no distance tells apart, so
    that of many splines in turn the density stays finite, and both directions accurate, at repeated rows too.

    Args:
        features: the number of dimensions ``D``.
        knots: how many quantiles are taken in each dimension.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: of fewer than 3 knots.

    Source: Laparra, Camps-Valls, Malo (2011), IEEE Transactions on Neural Networks 22, arXiv:1602.00229, with a
    histogram in the place of the spline; the spline is that of Gregory, Delbourgo (1982), IMA Journal of Numerical
    Analysis 2.

    Example:
        >>> layer = PlacedSpline(1)
        >>> z = layer.initialise(torch.exp(torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))))
        >>> abs(z.mean().item()) < 0.05, abs(z.std().item() - 1) < 0.1
        (True, True)
    """

    unit: Tensor
    places: Tensor
    scores: Tensor
    slopes: Tensor

    def __init__(self, features: int, knots: int = 24) -> None:
        super().__init__(features)
        if knots < 3:
            raise UsageError(f"PlacedSpline expects at least 3 knots, got {knots}")
        self.knots = knots
        # The knots are in standard deviations: the spline's formulas are for slopes that are not far from 1.
        self.register_buffer("unit", torch.ones(features))
        start = torch.linspace(-3.0, 3.0, knots)[:, None].repeat(1, features)
        self.register_buffer("places", start)
        self.register_buffer("scores", start.clone())
        self.register_buffer("slopes", torch.ones(knots, features))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        x = x / self.unit
        held = torch.minimum(torch.maximum(x, self.places[0]), self.places[-1])
        z, log_slopes = forward_in_bin(held, *self._knots_beside(held, self.places))
        outside = (x - held) * self._end_slopes(x > held)
        return z + outside, (log_slopes - torch.log(self.unit)).sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        held = torch.minimum(torch.maximum(z, self.scores[0]), self.scores[-1])
        x, log_slopes = inverse_in_bin(held, *self._knots_beside(held, self.scores))
        outside = (z - held) / self._end_slopes(z > held)
        return (x + outside) * self.unit, (log_slopes + torch.log(self.unit)).sum(-1)

    def _knots_beside(self, value: Tensor, positions: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Place, score and slope of the knots on the left and on the right of each value."""
        shape = (-1,) + (1,) * (value.ndim - 1) + value.shape[-1:]
        left = find_bin(value, positions.reshape(shape))
        dimension = torch.arange(value.shape[-1], device=value.device)
        table = (self.places, self.scores, self.slopes)
        return [each[left, dimension] for each in table], [each[left + 1, dimension] for each in table]

    def _end_slopes(self, above: Tensor) -> Tensor:
        return torch.where(above, self.slopes[-1], self.slopes[0])

    def _place(self, rows: Tensor) -> None:
        rows = rows.double()
        deviation = rows.std(0, correction=0)
        unit = torch.where(deviation > 0, deviation, 1.0).to(self.unit.dtype)
        rows = rows / unit
        most = -torch.special.ndtri(torch.tensor(0.5 / max(len(rows), 8), dtype=torch.float64)).item()
        scores = torch.linspace(-most, most, self.knots, dtype=torch.float64, device=rows.device)
        places = _apart(_untied(_quantiles(rows, torch.special.ndtr(scores)), scores), scores)
        slopes = scores.diff()[:, None] / places.diff(dim=0)
        inner = 2.0 / (1.0 / slopes[1:] + 1.0 / slopes[:-1])
        self.unit.copy_(unit)
        self.places.copy_(places)
        self.scores.copy_(scores[:, None].expand_as(places))
        self.slopes.copy_(torch.cat([slopes[:1].clamp_max(1.0), inner, slopes[-1:].clamp_max(1.0)]))


def _quantiles(rows: Tensor, shares: Tensor) -> Tensor:
    """The quantiles ``(K, D)`` of rows ``(N, D)``, linear between order statistics, of as many rows as there are:
    ``torch.quantile`` takes no more than 16 million numbers."""
    ordered = rows.sort(0).values
    rank = shares * (len(rows) - 1)
    below = rank.floor().long()
    above = (below + 1).clamp_max(len(rows) - 1)
    return torch.lerp(ordered[below], ordered[above], (rank - below)[:, None])


def _untied(quantiles: Tensor, scores: Tensor) -> Tensor:
    """The quantiles ``(K, D)``, in standard deviations, as places of the scores ``(K,)``: those of ties on lines from
    the score in the middle of their mass to the next one's, which go on beyond the first and the last."""
    scores = scores[:, None].expand_as(quantiles)
    values, middles = _values_and_middles(quantiles, scores)
    # Each score lies between two middles; beyond the ends the first two or the last two are taken.
    distinct = values.diff(dim=0, prepend=torch.full_like(values[:1], -torch.inf)) > 0
    group = distinct.cumsum(0) - 1
    start = distinct.long().argsort(dim=0, descending=True, stable=True)
    left = (group - (scores < middles).long()).clamp_min(0).minimum((group[-1:] - 1).clamp_min(0))
    first, second = start.gather(0, left), start.gather(0, (left + 1).minimum(group[-1:]))
    rise, run = (each.gather(0, second) - each.gather(0, first) for each in (middles, values))
    # Of a constant there is one middle alone.
    slope = torch.where(rise > 0, run / rise, 1.0)
    return values.gather(0, first) + slope * (scores - middles.gather(0, first))


def _values_and_middles(quantiles: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """For each quantile what it is but for rounding, and the score in the middle of the mass of those that are the
    same."""
    group = (quantiles.diff(dim=0, prepend=quantiles[:1]) > SAME).cumsum(0)
    mass = torch.special.ndtr(scores)

    def over_group(numbers: Tensor, how: str) -> Tensor:
        return torch.zeros_like(numbers).scatter_reduce(0, group, numbers, how, include_self=False).gather(0, group)

    middle = 0.5 * (over_group(mass, "amin") + over_group(mass, "amax"))
    return over_group(quantiles, "mean"), torch.special.ndtri(middle)


def _apart(places: Tensor, scores: Tensor) -> Tensor:
    """The places ``(K, D)``, those that are too near to each other for their scores moved apart, up and down alike."""
    steps = ((scores - scores[0]) / MOST_SLOPE)[:, None]
    apart = places - steps
    return 0.5 * (apart.cummax(0).values + apart.flip(0).cummin(0).values.flip(0)) + steps
