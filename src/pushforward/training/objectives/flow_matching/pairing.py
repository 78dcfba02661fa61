"""Which latent belongs to which event of a batch: where its path to the event begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.extras import requires
from pushforward.numerics import squared_distances

ROWS = 64
"""In a larger group paths cross less, and a smaller one leaves time for more steps: in the same time, 64 rows learned a
table of 9 columns better than 128 and 256 did."""


class Pairing(Protocol):
    """A way to pair the latents of a batch with its events."""

    def __call__(self, z: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        """Return for each of the events ``x`` of shape ``(N, D)`` the row of its latent in ``z``, ``(N,)``."""


@dataclass(frozen=True)
class Independent:
    """Any latent with any event, as they were drawn."""

    def __call__(self, z: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.arange(len(x), device=x.device)


@dataclass(frozen=True)
class OptimalTransport:
    r"""The pairing of a batch of least total squared distance, ``min sum_i |z_{p(i)} - x_i|^2`` over permutations.

    The paths cross less, so that the target varies less and the field is straighter. The assignment is exact.

    Attributes:
        rows: so many events at most are paired at a time, as the assignment costs ``N^3``.

    Raises:
        UsageError: without rows, and for events with contexts. There the pairing would give each context latents of its
            own, while samples are drawn from all: see :class:`WithinContexts` and :class:`ConditionalOptimalTransport`.
        MissingExtraError: SciPy is not installed.

    Source: Tong et al. (2023), arXiv:2302.00482; Pooladian et al. (2023), arXiv:2304.14772.

    Example:
        >>> OptimalTransport()(torch.tensor([[5.0], [0.0]]), torch.tensor([[1.0], [6.0]]), None)
        tensor([1, 0])
    """

    rows: int = ROWS

    def __post_init__(self) -> None:
        _check_rows(self, self.rows)

    def __call__(self, z: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        if context is not None:
            raise UsageError(
                "OptimalTransport pairs events without contexts, got events with them, whose latents it would skew: "
                "take ConditionalOptimalTransport(), or WithinContexts() for classes"
            )
        return by_groups(lambda z, x: assignment(squared_distances(x, z)), self.rows, z, x)


@dataclass(frozen=True)
class WithinContexts:
    """The optimal-transport pairing among the events of each context, for contexts that are classes.

    Each context's events keep the latents that were drawn for them, so that their distribution is not skewed.

    Attributes:
        rows: so many events at most are paired at a time.

    Raises:
        UsageError: without rows, and for events without contexts.
        MissingExtraError: SciPy is not installed.

    Source: Cheng, Schwing (2025), arXiv:2503.10636.

    Example:
        >>> z, x = torch.tensor([[5.0], [0.0], [9.0]]), torch.tensor([[1.0], [6.0], [9.0]])
        >>> WithinContexts()(z, x, torch.tensor([[0], [0], [1]])), WithinContexts()(z, x, torch.tensor([[0], [1], [1]]))
        (tensor([1, 0, 2]), tensor([0, 1, 2]))
    """

    rows: int = ROWS

    def __post_init__(self) -> None:
        _check_rows(self, self.rows)

    def __call__(self, z: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        number = torch.unique(_given(context, self), dim=0, return_inverse=True)[1]
        return by_groups(_among_equals, self.rows, z, x, number)


@dataclass(frozen=True)
class ConditionalOptimalTransport:
    r"""The optimal-transport pairing where the distance between contexts counts too.

    Each latent takes the context of the event that it was drawn for. ``min sum_i |z_{p(i)} - x_i|^2 + w |c_{p(i)} -
    c_i|^2`` over permutations then pairs events with latents of nearly their own context, whose distribution is skewed
    the less the larger ``w``. The weight follows from the batch: it is the least one for which a latent of another
    event is nearer than an event's own in no more than ``share`` of all pairs. Where even equal contexts alone are
    more, no others are paired. Numbers in the contexts are compared in units of their spread in the batch.

    Attributes:
        share: in (0, 1); the smaller, the less skewed and the less straight.
        rows: so many events at most are paired at a time.

    Raises:
        UsageError: if the share is not in (0, 1), without rows, and for events without contexts.
        MissingExtraError: SciPy is not installed.

    Source: Cheng, Schwing (2025), arXiv:2503.10636, C2OT; their search for the weight has the closed form of a
    quantile.

    Example:
        >>> z, x = torch.tensor([[5.0], [0.0], [9.0]]), torch.tensor([[1.0], [6.0], [9.0]])
        >>> ConditionalOptimalTransport(0.3)(z, x, torch.tensor([[0.0], [0.1], [9.0]]))
        tensor([1, 0, 2])
    """

    share: float = 0.01
    rows: int = ROWS

    def __post_init__(self) -> None:
        _check_rows(self, self.rows)
        if not 0 < self.share < 1:
            raise UsageError(f"ConditionalOptimalTransport expects a share in (0, 1), got {self.share!r}")

    def __call__(self, z: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        return by_groups(self._among_neighbours, self.rows, z, x, _in_units_of_spread(_given(context, self)))

    def _among_neighbours(self, z: Tensor, x: Tensor, context: Tensor) -> Tensor:
        cost, apart = squared_distances(x, z), squared_distances(context, context)
        return assignment(weighted(cost, apart, self.share))


def by_groups(pair: Callable[..., Tensor], rows: int, *batch: Tensor) -> Tensor:
    """Return the pairing ``pair(z, x, ...)`` of a batch, ``rows`` of it at a time.

    Example:
        >>> by_groups(lambda z: torch.tensor([1, 0]), 2, torch.zeros(4))
        tensor([1, 0, 3, 2])
    """
    if not len(batch[0]):
        return torch.arange(0, device=batch[0].device)
    starts = range(0, len(batch[0]), rows)
    groups = [pair(*parts) for parts in zip(*(each.split(rows) for each in batch), strict=True)]
    return torch.cat([start + order for start, order in zip(starts, groups, strict=True)])


def weighted(cost: Tensor, apart: Tensor, share: float) -> Tensor:
    """Return ``cost + w apart`` with the least ``w`` for which no more than ``share`` of all numbers are below the one
    of their row on the diagonal.

    A number is below it while ``w < (diagonal - cost) / apart``, so that ``w`` is a quantile of these ratios.

    Example:
        >>> cost = torch.tensor([[2.0, 1.0], [0.0, 2.0]])
        >>> weighted(cost, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), share=0.3).tolist()
        [[2.0, 2.0], [1.0, 2.0]]
    """
    gain = cost.diagonal()[:, None] - cost
    # Nothing is gained on the diagonal, and everything that is gained among equal contexts stays so for any weight.
    ratios = (gain.clamp(min=0.0) / apart).where(apart > 0, torch.where(gain > 0, torch.inf, 0.0))
    allowed = int(share * cost.numel())
    weight = ratios.flatten().kthvalue(cost.numel() - allowed).values
    return cost + (weight * apart).where(apart > 0, 0.0)


def assignment(cost: Tensor) -> Tensor:
    """Return the permutation ``p`` that minimises ``sum_i cost[i, p(i)]``.

    Raises:
        DataError: if a cost is not a number.
        MissingExtraError: SciPy is not installed.
    """
    if bool(cost.isnan().any()):
        raise DataError(
            "an optimal-transport pairing expects events and latents that are finite, got some that are not"
        )
    with requires("train", purpose="optimal-transport pairing"):
        from scipy.optimize import linear_sum_assignment
    return torch.as_tensor(linear_sum_assignment(cost.double().cpu().numpy())[1], device=cost.device)


def _among_equals(z: Tensor, x: Tensor, number: Tensor) -> Tensor:
    return assignment(squared_distances(x, z).where(number[:, None] == number, torch.inf))


def _check_rows(pairing: Pairing, rows: int) -> None:
    if rows < 1:
        raise UsageError(f"an optimal-transport pairing expects at least one row at a time, got {pairing}")


def _given(context: Tensor | None, pairing: Pairing) -> Tensor:
    if context is None:
        raise UsageError(f"{pairing} expects events with contexts, got none: take OptimalTransport()")
    return context


def _in_units_of_spread(context: Tensor) -> Tensor:
    values = context.float() if not context.is_floating_point() else context
    spread = (values - values.mean(0)).square().mean(0).sqrt()
    return values / torch.where(spread > 0, spread, 1.0)
