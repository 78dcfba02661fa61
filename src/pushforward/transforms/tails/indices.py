"""How heavy the tails of data are: Hill's estimator, and whether they are heavy at all."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError

SHARE = 0.1
"""The part of the rows, the outermost ones, that tells the index of a tail where there are few."""

MANY_ROWS = 2000
"""Of more rows the part falls with the cube root of their number: an estimate is biased by what is not tail, and more
rows are no use where the bias stays."""

LEAST_ROWS = 20

SURE = 1.645
"""How many standard errors the coefficient of variation must be above 1 for a tail to count as heavy."""


def tail_index(x: Tensor, share: float | None = None) -> Tensor:
    r"""Return the tail index of each dimension, ``inf`` where its tails are light: ``P(|X - median| > t)`` falls as
    ``t^-index``.

    With ``a_1 >= a_2 >= ...`` the distances from the median, of ``n`` rows, and ``k = share n``, Hill's estimator is

    .. math:: k \Big/ \sum_{i \le k} \log (a_i / a_{k+1}),

    whose standard error is a part ``1 / sqrt(k)`` of it. It takes light tails for heavy ones. So the tails count as
    heavy only where the excesses ``a_i - a_{k+1}`` vary more than an exponential's: where ``sqrt(k) (c^2 - 1) / 2``,
    with ``c`` their deviation over their mean, is above what a standard normal exceeds one time of twenty. Where fewer
    than ``k`` rows differ from the median, as in columns of many zeros, those that do are looked at; if they are fewer
    than 20, the tail counts as light.

    Args:
        x: rows ``(N, D)``.
        share: the part of the rows that is looked at, between 0 and 1; by default a tenth, and of more than 2,000 rows
            a part that falls with the cube root of their number.

    Raises:
        UsageError: if the share is not between 0 and 1.
        DataError: of fewer than 20 rows that are looked at, or values that are not finite.

    Source: Hill (1975), Annals of Statistics 3; del Castillo, Daoudi, Lockhart (2014), Scandinavian Journal of
    Statistics 41, for the coefficient of variation.

    Example:
        >>> uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> cauchy, exponential = torch.tan(torch.pi * uniform), -uniform.log()
        >>> found = tail_index(torch.stack([cauchy, exponential], -1))
        >>> abs(found[0].item() - 1) < 0.1, found[1].item()
        (True, inf)
    """
    if share is None:
        share = SHARE * min(1.0, (MANY_ROWS / max(len(x), 1)) ** (1 / 3))
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
    furthest, counts = _furthest(x.double(), count)
    index = counts / torch.log(furthest).sum(0)
    excesses = (furthest - 1.0) / furthest.amax(0)
    variation = counts * excesses.square().sum(0) / excesses.sum(0).square() - 1.0
    heavy = (0.5 * torch.sqrt(counts) * (variation - 1.0) > SURE) & (counts >= LEAST_ROWS)
    found = torch.where(heavy, index, torch.inf)
    return found.to(x.dtype if x.is_floating_point() else torch.get_default_dtype())


def _furthest(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """``a_i / a_{k+1}`` of the ``k`` rows furthest from the median, ``(k, D)``, and how many those are, ``(D,)``: 1
    stands for those at the median."""
    distances = (x - x.median(0).values).abs().topk(count + 1, 0).values
    apart = distances > 0
    least = torch.where(apart, distances, torch.inf).amin(0)
    return torch.where(apart, distances / least, 1.0)[:-1], (apart.sum(0) - 1).clamp_min(0).double()
