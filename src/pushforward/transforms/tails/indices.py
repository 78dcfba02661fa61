"""How heavy the tails of data are: Hill's estimator, and whether they are heavy at all."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError

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
    is above 0 by a one-sided test at 5 % are the tails heavy. Where fewer than ``k`` rows differ from the median, as in
    columns of many zeros, those that do are looked at; if they are fewer than 20, the tail counts as light.

    Args:
        x: rows ``(N, D)``.
        share: the part of the rows that is looked at, between 0 and 1.

    Raises:
        UsageError: if the share is not between 0 and 1.
        DataError: of fewer than 20 rows that are looked at, or values that are not finite.

    Source: Hill (1975), Annals of Statistics 3; Dekkers, Einmahl, de Haan (1989), Annals of Statistics 17.

    Example:
        >>> uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> pareto, exponential = uniform.pow(-1 / 1.5), -uniform.log()
        >>> found = tail_index(torch.stack([pareto, exponential], -1))
        >>> abs(found[0].item() - 1.5) < 0.1, found[1].item()
        (True, inf)
    """
    if not 0 < share < 1:
        raise UsageError(f"tail_index expects a share between 0 and 1, got {share:g}")
    count = int(share * len(x))
    if x.dim() != 2 or count < LEAST_ROWS:
        raise DataError(
            f"tail_index expects rows (N, D) of which a share of {share:g} is {LEAST_ROWS} or more, got "
            f"{tuple(x.shape)}: give more rows or a larger share"
        )
    if not bool(torch.isfinite(x).all()):
        raise DataError("tail_index expects finite values, got some that are not: remove those rows")
    logs, counts = _log_excesses(x.double(), count)
    first, second = logs.sum(0) / counts, logs.square().sum(0) / counts
    moment = first + 1.0 - 0.5 / (1.0 - first.square() / second)
    heavy = (moment * torch.sqrt(counts) > SURE) & (counts >= LEAST_ROWS)
    found = torch.where(heavy, 1.0 / first, torch.inf)
    return found.to(x.dtype if x.is_floating_point() else torch.get_default_dtype())


def _log_excesses(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """``log a_i / a_{k+1}`` of the ``k`` rows furthest from the median, ``(k, D)``, and how many those are, ``(D,)``: 0
    stands for those at the median."""
    distances = (x - x.median(0).values).abs().topk(count + 1, 0).values
    apart = distances > 0
    least = torch.where(apart, distances, torch.inf).amin(0)
    return torch.where(apart, torch.log(distances / least), 0.0)[:-1], (apart.sum(0) - 1).clamp_min(0).double()
