"""The log-density of a table's rows under a trained flow over their codes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import logsumexp

from pushforward.flows import Flow
from pushforward.tables.chunks import slices
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array
from pushforward.tables.latents import given


def log_density(flow: Flow | None, code: LatentCode, points: Array, numbers: Array, contexts: Array) -> Array:
    """Return the log-density of rows ``(n, columns)`` given contexts ``(n, C)``, in the data's own units.

    The mass of discrete columns is the mean of the density over the cell's ``points``, the same for every row.
    """
    values = [np.zeros(0)]
    for rows in slices(len(numbers), numbers.shape[1] + contexts.shape[1]):
        index, images = code.images(numbers[rows])
        total = np.full(rows.stop - rows.start, -np.inf)
        np.logaddexp.at(total, index, _log_density(flow, code, points, images, contexts[rows][index]))
        values.append(total)
    return np.concatenate(values)


def _log_density(flow: Flow | None, code: LatentCode, points: Array, numbers: Array, contexts: Array) -> Array:
    context = given(contexts)
    values = []
    for point in points:
        codes, log_du = code.encode(numbers, np.broadcast_to(point, (len(numbers), len(point))))
        if flow is not None:
            with torch.no_grad():
                log_du = log_du + flow.log_prob(torch.as_tensor(codes), context).numpy()
        values.append(log_du)
    return logsumexp(np.stack(values), axis=0) - np.log(len(values))
