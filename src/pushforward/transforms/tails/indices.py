"""How heavy the tails of data are: Hill's estimator, and whether they are heavy at all."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import DataError

SHARE = 0.1
"""The part of the rows, the outermost ones, that tells the index of a tail."""

LEAST_ROWS = 20

SURE = 1.645
"""How many standard errors the moment estimator must be above 0 for a tail to count as heavy."""


def tail_index(x: Tensor, share: float = SHARE) -> Tensor:
    r"""Return the tail index of each dimension, ``inf`` where its tails are light: ``P(|X - median| > t)`` falls as
    ``t^-index``.

    With ``a_1 >= a_2 >= ...`` the distances from the median, of ``n`` rows, and ``k = share n``, Hill's estimator is

    .. math:: 1 / M_1, \quad M_j = \frac1k \sum_{i \le k} \log^j (a_i / a_{k+1}),

    whose standard error is a part ``1 / sqrt(k)`` of it. It takes light tails for heavy ones. The moment estimator
    ``M_1 + 1 - 1 / (2 - 2 M_1^2 / M_2)`` goes to 0 for them, with a standard error of ``1 / sqrt(k)``: only where that
    is above 0 by a one-sided test at 5 % are the tails heavy.

    Args:
        x: rows ``(N, D)``.
        share: the part of the rows that is looked at.

    Raises:
        DataError: of fewer than 20 rows that are looked at, or values that are not finite.

    Source: Hill (1975), Annals of Statistics 3; Dekkers, Einmahl, de Haan (1989), Annals of Statistics 17.

    Example:
        >>> uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> pareto, exponential = uniform.pow(-1 / 1.5), -uniform.log()
        >>> found = tail_index(torch.stack([pareto, exponential], -1))
        >>> abs(found[0].item() - 1.5) < 0.1, found[1].item()
        (True, inf)
    """
    count = int(share * len(x))
    if x.dim() != 2 or count < LEAST_ROWS:
        raise DataError(
            f"tail_index expects rows (N, D) of which a share of {share:g} is {LEAST_ROWS} or more, got "
            f"{tuple(x.shape)}: give more rows or a larger share"
        )
    if not bool(torch.isfinite(x).all()):
        raise DataError("tail_index expects finite values, got some that are not: remove those rows")
    logs = _log_excesses(x.double(), count)
    first, second = logs.mean(0), logs.square().mean(0)
    moment = first + 1.0 - 0.5 / (1.0 - first.square() / second)
    heavy = moment * math.sqrt(count) > SURE
    return torch.where(heavy, 1.0 / first, torch.inf).to(x.dtype)


def _log_excesses(x: Tensor, count: int) -> Tensor:
    """``log a_i / a_{k+1}`` of the ``k`` rows furthest from the median, ``(k, D)``; all 0 where those do not differ."""
    tiny = torch.finfo(x.dtype).tiny
    distances = (x - x.median(0).values).abs().clamp_min(tiny).topk(count + 1, 0).values
    return torch.log(distances[:-1] / distances[-1])
