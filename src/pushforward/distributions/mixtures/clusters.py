"""Groups of near events: where the components of a mixture begin."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.numerics import squared_distances

ROUNDS, SEED = 20, 0


@torch.no_grad()
def clusters(rows: Tensor, count: int) -> Tensor:
    """Return a group, ``0, ..., count - 1``, for each of the rows ``(N, D)``, by k-means on standardised columns from
    centres that are drawn far from each other (Arthur, Vassilvitskii 2007, k-means++); the same each time.

    Raises:
        DataError: if there are no rows, or numbers that are not finite.

    Example:
        >>> groups = clusters(torch.tensor([[0.0], [9.0], [0.1], [9.1]]), 2)
        >>> bool(groups[0] == groups[2]), bool(groups[1] == groups[3]), bool(groups[0] == groups[1])
        (True, True, False)
    """
    rows = rows.double().cpu()
    if not len(rows) or not bool(rows.isfinite().all()):
        raise DataError("a mixture expects at least one event to begin with, and all numbers finite")
    deviation = rows.std(0, correction=0)
    rows = (rows - rows.mean(0)) / torch.where(deviation > 0, deviation, 1.0)
    centres = _far_apart(rows, count)
    for _ in range(ROUNDS):
        groups = squared_distances(rows, centres).argmin(-1)
        sizes = torch.bincount(groups, minlength=count)
        means = torch.zeros_like(centres).index_add(0, groups, rows) / sizes.clamp_min(1)[:, None]
        centres = torch.where(sizes[:, None] > 0, means, centres)
    return squared_distances(rows, centres).argmin(-1)


def _far_apart(rows: Tensor, count: int) -> Tensor:
    """Rows drawn in turn, each as likely as its squared distance to the nearest that was drawn before."""
    generator = torch.Generator().manual_seed(SEED)
    chosen = [int(torch.randint(len(rows), (), generator=generator))]
    for _ in range(count - 1):
        nearest = squared_distances(rows, rows[chosen]).amin(-1)
        weights = nearest if nearest.any() else torch.ones_like(nearest)
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
    return rows[chosen]
