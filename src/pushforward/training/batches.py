"""Whole batches from tensors in memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError

Batch = tuple[Tensor, Tensor | None, Tensor]


class Batches:
    """An endless stream of shuffled batches ``(events, contexts, rows)``, cut from one permutation after the other.

    The batch of a step is a function of the seed and the step alone, so that a stream can start anywhere. Rows that
    do not fill a batch wait for another epoch's permutation. Of several processes, each takes an equal, interleaved
    share of every batch.

    Args:
        x: events ``(N, ...)``.
        context: contexts ``(N, ...)`` or None.
        batch_size: rows in a batch over all processes; at most ``N`` are taken.
        seed: of the permutations.
        dtype: that integers are served in, the default one where None.
        rank, world_size: which process this is, and of how many.

    Raises:
        DataError: there are no rows, or not as many contexts as events.
        UsageError: the batch cannot be shared out evenly.

    Example:
        >>> batches = Batches(torch.arange(10.0)[:, None], None, batch_size=5, seed=0)
        >>> batches.steps_per_epoch, sorted(batches.rows(0).tolist() + batches.rows(1).tolist())
        (2, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    def __init__(
        self,
        x: Tensor,
        context: Tensor | None,
        batch_size: int,
        seed: int,
        dtype: torch.dtype | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if len(x) == 0:
            raise DataError("there are no rows to train on")
        if context is not None and len(context) != len(x):
            raise DataError(f"expected one context for each of {len(x)} events, got {len(context)}")
        self.x, self.context, self.seed, self.dtype = x, context, seed, dtype
        self.batch_size = min(batch_size, len(x) // world_size * world_size)
        if self.batch_size < 1 or self.batch_size % world_size:
            raise UsageError(f"batch_size must be a multiple of the {world_size} processes, got {self.batch_size}")
        self.rank, self.world_size = rank, world_size
        self.steps_per_epoch = len(x) // self.batch_size
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def rows(self, step: int) -> Tensor:
        """Which rows this process sees at ``step``."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            # A large odd factor keeps the streams of neighbouring seeds apart.
            generator = torch.Generator().manual_seed((self.seed * 0x9E3779B1 + epoch) % 2**63)
            self._epoch, self._order = epoch, torch.randperm(len(self.x), generator=generator)
        start = position * self.batch_size
        return self._order[start + self.rank : start + self.batch_size : self.world_size]

    def batch(self, step: int) -> Batch:
        """The batch of ``step``."""
        return take(self.x, self.context, self.rows(step), self.dtype)

    def stream(self, step: int) -> Iterator[Batch]:
        """Every batch from ``step`` on."""
        while True:
            yield self.batch(step)
            step += 1


def take(x: Tensor, context: Tensor | None, rows: Tensor, dtype: torch.dtype | None = None) -> Batch:
    """Some rows of the events and the contexts, integers as floating-point numbers, and the rows."""
    events = as_floating(x.index_select(0, rows.to(x.device)), dtype)
    if context is None:
        return events, None, rows
    return events, as_floating(context.index_select(0, rows.to(context.device)), dtype), rows


def as_floating(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Integers as floating-point numbers of a type, or of the default one; those that are such stay as they are."""
    return x if x.is_floating_point() else x.to(dtype or torch.get_default_dtype())
