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

POINTS_FOR_A_CELL = 16


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
    values[points_alone] = log_du + log_prob(flow, codes, contexts[points_alone])
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
    return ends.log_du + np.where(cell, masses, log_prob(flow, ends.low, contexts))


def _integrals(flow: Flow, points: Array, ends: Ends, contexts: Array) -> Array:
    """The logarithms of the flow's mass between the ends, by importance sampling at the points.

    A row with few cells needs few points: one with none a single one, else 16, twice as many for each cell more.
    """
    values = np.empty(len(contexts))
    cells = (ends.low < ends.high).sum(1)
    needed = np.where(cells == 0, 1, np.minimum(len(points), POINTS_FOR_A_CELL * 2.0 ** np.minimum(cells - 1, 30)))
    for count in np.unique(needed).astype(np.int64):
        rows = np.flatnonzero(needed == count)
        for part in slices(len(rows), ends.low.shape[1] + contexts.shape[1], repeats=int(count)):
            own = rows[part]
            values[own] = _integral(flow, points[:count], ends[own], contexts[own])
    return values


def _integral(flow: Flow, points: Array, ends: Ends, contexts: Array) -> Array:
    count = len(points)
    codes, log_weights = draw_between(whitening_of(flow), contexts, ends.low, ends.high, points, AS_FITTED)
    there = log_prob(flow, codes.reshape(-1, codes.shape[-1]), np.repeat(contexts, count, axis=0))
    return ends.log_du + logsumexp(there.reshape(-1, count) + log_weights, axis=1) - np.log(count)


@torch.no_grad()
def log_prob(flow: Flow | None, codes: Array, contexts: Array) -> Array:
    """Return the log-densities of codes ``(n, D)`` themselves, 0 where nothing varies."""
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
