"""Tails estimated from the rows beyond an outer knot, so that no single row can bend them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from pushforward.tables.columns import Array
from pushforward.tables.marginals.samples import Sample, look_uniform
from pushforward.tables.marginals.tails import ExponentialEdge, OpenTail, PowerEdge, Tail, excess, hazard

CENSORED_ROWS = 1.0
CENSORED_SHARE = 0.02
LIGHT_SPREAD, HEAVY_SPREAD = 0.5, 0.7
"""The prior standard deviations of an index below and above 0."""
LEAST_INDEX, MOST_INDEX = -5.0, 3.0
MOST_LOG_SCALE = 20.0
EVIDENCE = 1.0
"""How many nats an index above 0 must gain over the exponential tail before it counts."""
RARE_ROWS = 0.1
RAREST = 2.9e-7
"""The mass of a normal distribution beyond five standard deviations."""
SIMPLEX = [[0.0, 0.0], [0.5, 0.0], [0.0, 0.3]]
EDGE_ROWS = 1000.0
EDGE_SHARES = (0.45, 0.35, 0.25, 0.18, 0.12, 0.08, 0.0)
STEEPEST = 50.0
PRIOR_ROWS = 0.1


@dataclass(frozen=True)
class Exceedances:
    """The rows beyond a value, and how well open tails explain them.

    The outermost rows, one and 2 % of all, count only as beyond the last of the others (type II censoring): they
    could as well be anywhere there, so an absurd one has the weight of any other.

    Args:
        rows: the outward values beyond ``start``.
        start: where they begin.
        scale: the scale that the density within suggests.
        step: 0 for continuous values, 1 for integers, each of which is the cell around it.
    """

    rows: Sample
    start: float
    scale: float
    step: float = 0.0

    def loss(self, log_scale: float, index: float) -> float:
        """The negative log-likelihood with a normal prior on both; the scale is in units of the suggested one."""
        log_scale = float(np.clip(log_scale, -MOST_LOG_SCALE, MOST_LOG_SCALE))
        index = float(np.clip(index, LEAST_INDEX, MOST_INDEX))
        known, censored, low, limit = self._steps
        low = low / np.exp(log_scale)
        if self.step:
            gap = excess(low + self.step / self.scale / np.exp(log_scale), index) - excess(low, index)
            fitted = np.log(-np.expm1(-np.maximum(gap, 1e-300))) - excess(low, index)
        else:
            fitted = np.log(hazard(low, index)) - log_scale - excess(low, index)
        beyond_last = -censored * float(excess(limit / np.exp(log_scale), index))
        prior = 0.5 * log_scale**2 + 0.5 * (index / (HEAVY_SPREAD if index > 0.0 else LIGHT_SPREAD)) ** 2
        return -float(known.rows @ fitted) - beyond_last + prior

    @cached_property
    def best(self) -> tuple[float, float]:
        """The most likely logarithm of the scale, and the index."""
        if self.rows.count == 0:
            return 0.0, 0.0
        options = {"xatol": 1e-3, "fatol": 1e-3, "maxiter": 200, "initial_simplex": SIMPLEX}
        found = minimize(lambda x: self.loss(*x), np.zeros(2), method="Nelder-Mead", options=options).x
        return float(found[0]), float(np.clip(found[1], LEAST_INDEX, MOST_INDEX))

    def best_scale(self, index: float) -> float:
        """The most likely logarithm of the scale at an index."""
        bounds = (-MOST_LOG_SCALE, MOST_LOG_SCALE)
        return float(minimize_scalar(self.loss, args=(index,), bounds=bounds, method="bounded").x)

    @cached_property
    def heaviness(self) -> float:
        """How many nats a tail heavier than the exponential one explains them better, 0 where it does not."""
        if self.best[1] <= 0.0:
            return 0.0
        return max(self.loss(self.best_scale(0.0), 0.0) - self.loss(*self.best), 0.0)

    @cached_property
    def _steps(self) -> tuple[Sample, float, Array, float]:
        """The rows that are known, the number of the others, and where both begin in units of the scale."""
        known, censored, last = _censored(self.rows)
        # In units of the suggested scale, so that the search begins near its end.
        low = np.maximum((known.values - 0.5 * self.step - self.start) / self.scale, 0.0)
        return known, censored, low, max((last - self.start) / self.scale, 0.0)


def fit_open_tail(beyond: Exceedances, mass: float, rows: float, heaviness: float) -> OpenTail:
    """Estimate scale and index, the latter shrunk towards 0 as far as the evidence for a heavy tail is weak.

    An index above 0 is multiplied by ``(1 - EVIDENCE / heaviness)_+``: by nothing where chance explains it, for what
    few rows show by chance a heavy tail would carry on to values a thousand times too large.

    Args:
        beyond: the rows beyond the tail's start.
        mass: the probability of the tail.
        rows: of the whole sample.
        heaviness: the nats that speak for a heavy tail.

    Source: Breiman (1995), Technometrics 37, for the shrinkage (the non-negative garrote).
    """
    rare = min(RARE_ROWS / rows, RAREST, mass)
    log_scale, index = beyond.best
    if index > 0.0:
        index *= max(1.0 - EVIDENCE / max(heaviness, EVIDENCE), 0.0)
        log_scale = beyond.best_scale(index)
    return OpenTail(beyond.start, mass, beyond.scale * float(np.exp(log_scale)), index, rare)


def _censored(beyond: Sample) -> tuple[Sample, float, float]:
    """The rows that count with their values, the number of those that do not, and where those begin."""
    hidden = CENSORED_ROWS + CENSORED_SHARE * beyond.count
    above = beyond.count - np.cumsum(beyond.rows)
    kept = above + 1e-9 >= hidden
    if not kept.any():
        return beyond, 0.0, float(beyond.values[-1])
    known = beyond.kept(kept)
    return known, beyond.count - known.count, float(known.values[-1])


def fit_edge(sample: Sample, bound: float, near_share: float) -> Tail:
    """Choose and estimate a tail up to a bound.

    The rows nearest to the bound tell whether the density there is positive: then their distances from it are about
    uniform, ``F = d``. Where ``F = d^exponent`` with an exponent clearly different from 1, by three standard errors and
    a tenth, the tail is a :class:`PowerEdge`. Else it is an :class:`ExponentialEdge` over as large a part of the rows
    as a log-linear density fits: the more rows, the less the density at the bound is left to chance.

    Args:
        sample: the whole sample in outward values.
        bound: of the outward values.
        near_share: the part of the rows that is small enough for a power, or where nothing else fits.
    """
    near, start, mass = beyond(sample, near_share)
    nearest, reach = near, bound - start
    if near.count > EDGE_ROWS:
        nearest, edge, _ = beyond(sample, EDGE_ROWS / sample.count)
        reach = bound - edge
    exponent = _exponent((bound - nearest.values) / reach, nearest.rows)
    if abs(exponent - 1.0) > max(3.0 / np.sqrt(nearest.count), 0.1):
        return PowerEdge(start, mass, bound, _exponent((bound - near.values) / (bound - start), near.rows))
    for share in EDGE_SHARES:
        part, start, mass = beyond(sample, max(share, near_share))
        tail = fit_exponential_edge(part, start, mass, bound)
        levels = tail.share((bound - part.values) / (bound - start))
        if share <= near_share or look_uniform(levels, part.rows, np.zeros(1, dtype=np.int64), 2)[0]:
            return tail
    return tail


def fit_exponential_edge(near: Sample, start: float, mass: float, bound: float) -> ExponentialEdge:
    """Estimate a density that is log-linear up to a bound by maximum likelihood, slightly shrunk towards a flat one."""
    target = float(near.rows @ ((bound - near.values) / (bound - start)))
    rise = 0.0
    for _ in range(50):
        mean, variance = _moments(rise)
        step = (target - near.count * mean - PRIOR_ROWS * rise) / (near.count * variance + PRIOR_ROWS)
        rise = float(np.clip(rise + step, -STEEPEST, STEEPEST))
    return ExponentialEdge(start, mass, bound, rise)


def _moments(rise: float) -> tuple[float, float]:
    """Mean and variance of a distance with a log-linear density on the unit interval."""
    if abs(rise) < 1e-3:
        return 0.5 + rise / 12.0, 1.0 / 12.0
    half = 0.5 * rise
    return 0.5 + 0.5 / np.tanh(half) - 1.0 / rise, 1.0 / rise**2 - 0.25 / np.sinh(half) ** 2


def beyond(sample: Sample, share: float) -> tuple[Sample, float, float]:
    """The rows beyond the value that has about this share of them above it, that value, and the share.

    Half of the rows at the value itself count to it.
    """
    shares = 1.0 - sample.ranks
    index = int(np.abs(shares[:-1] - share).argmin())
    above = Sample(sample.values[index + 1 :], sample.rows[index + 1 :])
    return above, float(sample.values[index]), float(shares[index])


def _exponent(distances: Array, rows: Array) -> float:
    """The maximum likelihood exponent of ``F = d^exponent``, as if one row more had the exponent 1."""
    logs = -np.log(np.clip(distances, 1e-12, 1.0))
    return float(np.clip((rows.sum() + 1.0) / (rows @ logs + 1.0), 0.05, 50.0))
