r"""The tail of importance weights: the shape ``k`` of the generalised Pareto distribution fitted to the largest ones.

Source: Vehtari, Simpson, Gelman, Yao, Gabry (2024), Pareto smoothed importance sampling, JMLR 25, arXiv:1507.02646; the
fit is that of Zhang, Stephens (2009), Technometrics 51.
"""

from __future__ import annotations

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.diagnostics.importance import scaled_weights

RELIABLE = 0.7
"""Up to this shape the estimates of importance sampling converge at a rate that is of use."""

LEAST_TAIL = 5
"""How many weights a tail is fitted to at least."""


def pareto_shape(log_weights: ArrayLike) -> float:
    r"""Return Pareto-k, the shape of the weights' tail: below 0.5 the weights have a variance, above 0.7 estimates by
    importance sampling are not to be relied on.

    It is ``-inf`` where the largest weights are all equal, and so have no tail, and ``inf`` of fewer than 25 weights,
    which tell nothing of one.

    Args:
        log_weights: of samples, ``(n,)`` or of any shape, as ``flow.log_weight`` gives them.

    Raises:
        DataError: if there are none, one is NaN or infinite, or all are zero.

    Example:
        >>> uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> abs(pareto_shape(-0.8 * uniform.log()) - 0.8) < 0.3  # a Pareto distribution of shape 0.8
        True
    """
    weights, _ = scaled_weights(log_weights)
    excess = _excesses(weights.sort().values)
    return math.inf if excess is None else fit_generalised_pareto(excess)[0]


def smoothed_weights(log_weights: ArrayLike) -> Tensor:
    """Return weights that sum to 1, of which the largest are replaced by the quantiles of the Pareto tail fitted to
    them, at most the largest one: estimates by them have less variance.

    Args:
        log_weights: as for :func:`pareto_shape`.

    Raises:
        DataError: as :func:`pareto_shape`.

    Example:
        >>> weights = smoothed_weights(torch.randn(100, generator=torch.Generator().manual_seed(0)))
        >>> weights.shape, round(weights.sum().item(), 6)
        (torch.Size([100]), 1.0)
    """
    weights, _ = scaled_weights(log_weights)
    ordered, places = weights.sort()
    excess = _excesses(ordered)
    if excess is not None:
        shape, scale = fit_generalised_pareto(excess)
        if math.isfinite(shape):
            tail, count = ordered[-len(excess) :], len(excess)
            levels = (torch.arange(count, dtype=weights.dtype, device=weights.device) + 0.5) / count
            start = ordered[-count - 1]
            weights = weights.clone()
            weights[places[-count:]] = (start + _quantiles(levels, shape, scale)).clamp(max=tail[-1])
    return (weights / weights.sum()).reshape(torch.as_tensor(log_weights).shape)


def fit_generalised_pareto(excess: Tensor) -> tuple[float, float]:
    r"""Return the shape and the scale of a generalised Pareto distribution, ``P(x > t) = (1 + k t / s)^(-1 / k)``.

    A posterior mean over a grid of ``b = -k / s`` (Zhang, Stephens 2009), the shape with a weak prior about 0.5 that
    counts for ten numbers.

    Args:
        excess: positive numbers in increasing order, float64.
    """
    count, largest = len(excess), excess[-1]
    if not largest > 0:
        return -math.inf, 0.0
    # Ties with the threshold are rounded differences.
    excess = excess.clamp(min=float(largest) * torch.finfo(excess.dtype).eps)
    points = 30 + int(count**0.5)
    grid = 1 - (points / (torch.arange(1, points + 1, dtype=excess.dtype, device=excess.device) - 0.5)).sqrt()
    grid = grid / (3 * excess[int(count / 4 + 0.5) - 1]) + 1 / largest
    shapes = torch.log1p(-grid[:, None] * excess).mean(1)
    profile = count * (torch.log(-grid / shapes) - shapes - 1)
    b = (torch.softmax(profile, 0) * grid).sum()
    raw = torch.log1p(-b * excess).mean()
    scale = -raw / b
    return ((count * raw + 5) / (count + 10)).item(), scale.item()


def _excesses(ordered: Tensor) -> Tensor | None:
    """What the largest of ordered weights exceed the one before them by, None where they are too few."""
    count = math.ceil(min(0.2 * len(ordered), 3 * len(ordered) ** 0.5))
    if count < LEAST_TAIL:
        return None
    return ordered[-count:] - ordered[-count - 1]


def _quantiles(levels: Tensor, shape: float, scale: float) -> Tensor:
    tails = -torch.log1p(-levels)
    return scale * (tails if shape == 0 else torch.expm1(shape * tails) / shape)
