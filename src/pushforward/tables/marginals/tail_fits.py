"""Tails estimated from the rows beyond an outer knot, so that no single row can bend them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from pushforward.tables.columns import Array
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.marginals.tails import LinearEdge, OpenTail, PowerEdge, Tail, excess, hazard

CENSORED_ROWS = 1.0
CENSORED_SHARE = 0.02
INDEX_SPREAD = 0.5
LEAST_INDEX, MOST_INDEX = -5.0, 3.0
RARE_ROWS = 0.1
EDGE_ROWS = 1000.0
STEEPEST = 0.9


def fit_open_tail(beyond: Sample, start: float, mass: float, scale: float, rows: float, step: float = 0.0) -> OpenTail:
    """Estimate scale and index by maximum likelihood with a normal prior on both.

    The outermost rows, one and 2 % of the tail's, count only as beyond the last of the others (type II censoring): they
    could as well be anywhere there, so an absurd one has the weight of any other.

    Args:
        beyond: the outward values beyond ``start``.
        start, mass: where the tail begins and the probability that it has.
        scale: the scale that the density within suggests.
        rows: of the whole sample.
        step: 0 for continuous values, 1 for integers, each of which is the cell around it.
    """
    rare = RARE_ROWS / rows
    if beyond.count == 0:
        return OpenTail(start, mass, scale, 0.0, min(rare, mass))
    known, censored, last = _censored(beyond)
    # In units of the suggested scale, so that the search begins near its end.
    z = np.maximum((known.values - 0.5 * step - start) / scale, 0.0)
    limit = max((last - start) / scale, 0.0)

    def loss(parameters: Array) -> float:
        log_scale, index = (
            float(np.clip(parameters[0], -20.0, 20.0)),
            float(np.clip(parameters[1], LEAST_INDEX, MOST_INDEX)),
        )
        low = z / np.exp(log_scale)
        if step:
            gap = excess(low + step / scale / np.exp(log_scale), index) - excess(low, index)
            fitted = np.log(-np.expm1(-np.maximum(gap, 1e-300))) - excess(low, index)
        else:
            fitted = np.log(hazard(low, index)) - log_scale - excess(low, index)
        beyond_last = -censored * float(excess(limit / np.exp(log_scale), index))
        prior = 0.5 * log_scale**2 + 0.5 * (index / INDEX_SPREAD) ** 2
        return -float(known.rows @ fitted) - beyond_last + prior

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3, "maxiter": 200}).x
    index = float(np.clip(found[1], LEAST_INDEX, MOST_INDEX))
    return OpenTail(start, mass, scale * float(np.exp(found[0])), index, min(rare, mass))


def _censored(beyond: Sample) -> tuple[Sample, float, float]:
    """The rows that count with their values, the number of those that do not, and where those begin."""
    hidden = CENSORED_ROWS + CENSORED_SHARE * beyond.count
    above = beyond.count - np.cumsum(beyond.rows)
    kept = above + 1e-9 >= hidden
    if not kept.any():
        return beyond, 0.0, float(beyond.values[-1])
    known = beyond.kept(kept)
    return known, beyond.count - known.count, float(known.values[-1])


def fit_edge(sample: Sample, bound: float, near_share: float, wide_share: float) -> Tail:
    """Choose and estimate a tail up to a bound.

    The rows nearest to the bound tell whether the density there is positive: then their distances from it are
    uniform, ``F = d``, and the tail is a :class:`LinearEdge` over a wide part of the rows. Where ``F = d^exponent``
    with an exponent clearly different from 1, by three standard errors and a tenth, it is a :class:`PowerEdge` over a
    small part.

    Args:
        sample: the whole sample in outward values.
        bound: of the outward values.
        near_share, wide_share: the parts of the rows.
    """
    near, start, mass = beyond(sample, near_share)
    nearest, reach = near, bound - start
    if near.count > EDGE_ROWS:
        nearest, edge, _ = beyond(sample, EDGE_ROWS / sample.count)
        reach = bound - edge
    exponent = _exponent((bound - nearest.values) / reach, nearest.rows)
    if abs(exponent - 1.0) > max(3.0 / np.sqrt(nearest.count), 0.1):
        return PowerEdge(start, mass, bound, _exponent((bound - near.values) / (bound - start), near.rows))
    return fit_linear_edge(*beyond(sample, wide_share), bound)


def fit_linear_edge(near: Sample, start: float, mass: float, bound: float) -> LinearEdge:
    """Estimate the slope of a density that is linear up to a bound, by maximum likelihood shrunk towards 0."""
    tilt = 2.0 * (bound - near.values) / (bound - start) - 1.0
    slope = 0.0
    for _ in range(30):
        ratio = tilt / (1.0 + slope * tilt)
        step = (float(near.rows @ ratio) - slope) / (float(near.rows @ ratio**2) + 1.0)
        slope = float(np.clip(slope + step, -STEEPEST, STEEPEST))
    return LinearEdge(start, mass, bound, slope)


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
