"""The log-density of a table's rows under a trained flow over their codes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from pushforward.flows import Flow
from pushforward.tables.chunks import slices
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array
from pushforward.tables.latents import given, transported
from pushforward.tables.proposals import AS_FITTED, Ends, draw_between, ends_of, log_mass
from pushforward.tables.whitening import whitening_of


def log_density(flow: Flow | None, code: LatentCode, points: Array, numbers: Array, contexts: Array) -> Array:
    """Return the log-density of rows ``(n, columns)`` given contexts ``(n, C)``, in the data's own units.

    A row with angles has the density of all its images together; the mass of discrete columns is an integral over
    their cells, exact where there is one column, else by ``points`` of the unit cube, the same for every row. Memory
    is bounded however many rows there are.
    """
    values = np.empty(len(numbers))
    for rows in slices(len(numbers), numbers.shape[1] + contexts.shape[1]):
        index, images = code.images(numbers[rows])
        densities = _densities(flow, code, points, images, contexts[rows][index])
        values[rows] = _sums(densities, index, rows.stop - rows.start)
    return values


def _densities(flow: Flow | None, code: LatentCode, points: Array, numbers: Array, contexts: Array) -> Array:
    """The log-densities of rows, integrated over the cells of those that have some."""
    values = np.empty(len(numbers))
    noisy = code.noisy(numbers)
    within, points_alone = np.flatnonzero(noisy), np.flatnonzero(~noisy)
    codes, log_du = code.encode(numbers[points_alone], np.full((len(points_alone), code.noises), 0.5))
    values[points_alone] = log_du + _log_prob(flow, codes, contexts[points_alone])
    ends = ends_of(code, numbers[within])
    if flow is None:
        values[within] = ends.log_du
    elif code.features == 1:
        values[within] = _masses_on_a_line(flow, ends, contexts[within])
    else:
        values[within] = _integrals(flow, points, ends, contexts[within])
    return values


def _masses_on_a_line(flow: Flow, ends: Ends, contexts: Array) -> Array:
    """The exact masses of cells of one number, ``log |Phi(f(high)) - Phi(f(low))|``, for a monotone map ``f``."""
    low, high = (transported(flow, codes, contexts)[:, 0] for codes in (ends.low, ends.high))
    cell = ends.low[:, 0] < ends.high[:, 0]
    masses = log_mass(np.where(cell, np.minimum(low, high), -1.0), np.where(cell, np.maximum(low, high), 1.0))
    return ends.log_du + np.where(cell, masses, _log_prob(flow, ends.low, contexts))


def _integrals(flow: Flow, points: Array, ends: Ends, contexts: Array) -> Array:
    """The logarithms of the flow's mass between the ends, by importance sampling at the points."""
    values, count = np.empty(len(contexts)), len(points)
    for rows in slices(len(contexts), ends.low.shape[1] + contexts.shape[1], repeats=count):
        part, context = ends[rows], contexts[rows]
        codes, log_weights = draw_between(whitening_of(flow), context, part.low, part.high, points, AS_FITTED)
        log_prob = _log_prob(flow, codes.reshape(-1, codes.shape[-1]), np.repeat(context, count, axis=0))
        sums = logsumexp(log_prob.reshape(-1, count) + log_weights, axis=1)
        values[rows] = part.log_du + sums - np.log(count)
    return values


@torch.no_grad()
def _log_prob(flow: Flow | None, codes: Array, contexts: Array) -> Array:
    if flow is None or not len(codes):
        return np.zeros(len(codes))
    return flow.log_prob(torch.as_tensor(codes), given(contexts)).numpy()


def _sums(log_densities: Array, index: NDArray[np.int64], rows: int) -> Array:
    """Add up the densities that belong to the same row."""
    if len(log_densities) == rows:
        return log_densities
    sums = np.full(rows, -np.inf)
    np.logaddexp.at(sums, index, log_densities)
    return sums
