"""One reader's part of a stream: its blocks, shuffled, from any place on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor

from pushforward.data.row_groups import RowGroup

#: Events, contexts, and the numbers of the rows.
Rows = tuple[Tensor, Tensor | None, Tensor]


class Shard:
    """The rows of one shard of a stream, epoch after epoch, taken in pieces of any size.

    Args:
        blocks: the row groups of an epoch that are in memory together, one block after the other.
        read: the rows of a row group.
        seed: of the order within the blocks.
    """

    def __init__(
        self, blocks: Callable[[int], list[list[RowGroup]]], read: Callable[[RowGroup], Rows], seed: Sequence[int]
    ) -> None:
        self._blocks, self._read, self._seed = blocks, read, tuple(seed)

    def epoch(self, epoch: int) -> Iterator[Rows]:
        """The shuffled blocks of one epoch."""
        for number, groups in enumerate(self._blocks(epoch)):
            yield self._shuffled(groups, epoch, number)

    def pieces(self, rows: int, start: int = 0) -> Iterator[Rows]:
        """Pieces of ``rows`` without an end, from after the first ``start`` rows, which are not read where they are
        whole blocks."""
        blocks = self._from(start)
        held = next(blocks)
        while True:
            while len(held[2]) < rows:
                # A copy, so that the rest of the old block does not hold all of it in memory.
                held = choose(held, torch.arange(len(held[2])))
                held = joined([held, next(blocks)])
            yield choose(held, slice(rows))
            held = choose(held, slice(rows, None))

    def _from(self, start: int) -> Iterator[Rows]:
        for epoch in count():
            for number, groups in enumerate(self._blocks(epoch)):
                rows = sum(group.rows for group in groups)
                if start < rows:
                    yield choose(self._shuffled(groups, epoch, number), slice(start, None))
                start = max(0, start - rows)

    def _shuffled(self, groups: list[RowGroup], epoch: int, number: int) -> Rows:
        order = np.random.default_rng([*self._seed, epoch, number]).permutation(sum(group.rows for group in groups))
        return choose(joined([self._read(group) for group in groups]), torch.from_numpy(order))


def choose(rows: Rows, chosen: slice | Tensor) -> Rows:
    """The chosen ones of some rows."""
    x, context, numbers = rows
    return x[chosen], None if context is None else context[chosen], numbers[chosen]


def joined(pieces: list[Rows]) -> Rows:
    """Pieces of rows one after the other; a single one as it is."""
    if len(pieces) == 1:
        return pieces[0]
    x, contexts, numbers = zip(*pieces)
    return torch.cat(x), None if contexts[0] is None else torch.cat(contexts), torch.cat(numbers)
