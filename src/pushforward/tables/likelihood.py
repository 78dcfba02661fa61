"""The log-density of a table's rows under a trained flow over their codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import qmc

from pushforward.errors import UsageError
from pushforward.flows import Flow
from pushforward.tables.columns import Array
from pushforward.tables.table import LatentCode

CHUNK = 16384


def log_density(flow: Flow | None, code: LatentCode, points: Array, numbers: Array, contexts: Array) -> Array:
    """Return the log-density of rows ``(n, columns)`` given contexts ``(n, C)``, in the data's own units.

    The mass of discrete columns is the mean of the density over the cell's ``points``, the same for every row.
    """
    values = [np.zeros(0)]
    for start in range(0, len(numbers), CHUNK):
        rows = slice(start, start + CHUNK)
        values.append(_log_density(flow, code, points, numbers[rows], contexts[rows]))
    return np.concatenate(values)


def _log_density(flow: Flow | None, code: LatentCode, points: Array, numbers: Array, contexts: Array) -> Array:
    given = torch.as_tensor(contexts) if contexts.shape[1] else None
    values = []
    for point in points:
        codes, log_du = code.encode(numbers, np.broadcast_to(point, (len(numbers), len(point))))
        if flow is not None:
            with torch.no_grad():
                log_du = log_du + flow.log_prob(torch.as_tensor(codes), given).numpy()
        values.append(log_du)
    return logsumexp(np.stack(values), axis=0) - np.log(len(values))


def encode(flow: Flow | None, codes: Array, contexts: Array) -> Array:
    """Return the latents of codes ``(n, D)`` given contexts ``(n, C)``."""
    if flow is None:
        return codes
    return _in_chunks(lambda x, given: flow.latents(x, given)[0], codes, contexts)


def decode(flow: Flow | None, latents: Array, contexts: Array) -> Array:
    """Return the codes of latents ``(n, D)`` given contexts ``(n, C)``."""
    if flow is None:
        return latents
    return _in_chunks(lambda z, given: flow.decode(z, given), latents, contexts)


def _in_chunks(
    function: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor], rows: Array, contexts: Array
) -> Array:
    parts = [np.zeros((0, rows.shape[1]))]
    for start in range(0, len(rows), CHUNK):
        given = torch.as_tensor(contexts[start : start + CHUNK]) if contexts.shape[1] else None
        with torch.no_grad():
            parts.append(function(torch.as_tensor(rows[start : start + CHUNK]), given).numpy())
    return np.concatenate(parts)


def cell_points(count: int, dimensions: int) -> Array:
    """Points ``(count, dimensions)`` spread evenly over the unit cube: midpoints on a line, scrambled Sobol points.

    Raises:
        UsageError: unless the count is a power of two.
    """
    if count < 1 or count & (count - 1):
        raise UsageError(f"quadrature expects a power of two, got {count}")
    if dimensions == 0:
        return np.zeros((1, 0))
    if dimensions == 1:
        return ((np.arange(count) + 0.5) / count)[:, None]
    return inner(qmc.Sobol(dimensions, rng=0).random(count))


def inner(noise: Array) -> Array:
    """Numbers of the unit interval, kept from its ends."""
    return np.clip(noise, 1e-6, 1 - 1e-6)
