"""Training data that need not fit into memory: rows of parquet files, a few row groups at a time."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from pushforward.data.row_groups import RowGroup, row_groups
from pushforward.data.shards import Rows, Shard
from pushforward.data.tables import numeric
from pushforward.errors import UsageError
from pushforward.seeds import check_seed

if TYPE_CHECKING:
    import pandas as pd

Pair = tuple[Tensor, Tensor | None]
#: Makes events and contexts of the rows of a data frame.
Transform = Callable[["pd.DataFrame"], Pair]

# A row group is read as a whole, so a sample takes many rows of few of them.
_ROWS_OF_A_GROUP, _MOST_GROUPS = 64, 64


class ParquetStream(IterableDataset[Any]):
    """Rows of parquet files in random order, with no more than a buffer of them in memory.

    The row groups are dealt out to ``shards``, each of which reads its own, a block of ``buffer_rows / shards`` rows at
    a time (whole row groups, one at least), and shuffles the block. A batch takes equally many rows of each shard, so
    its rows come from as many places of the files. Every epoch deals and shuffles anew; the order is a function of the
    seed alone, whoever reads how many shards, and can be entered anywhere: trainings resume where they were, and
    several processes see the batches of one, each reading its share of the files.

    `fit` takes it in the place of data in memory. As a ``torch.utils.data.IterableDataset`` it gives one epoch, row by
    row, to each worker of a ``DataLoader`` and each process its share.

    Args:
        source: a folder, a file or a glob, here or wherever fsspec reaches, or several of these.
        columns: the events, in this order; by default all that are no contexts.
        context: the columns that they depend on.
        buffer_rows: how many rows are in memory; at least a row group for each shard is.
        shards: how many places are read from at a time, a multiple of the number of processes; fewer where there are
            fewer row groups.
        held_out: which part of the row groups is kept for validation, at least one where it is not 0.
        seed: of the choice of those, and of the order where `fit` does not give it.

    Attributes:
        rows: how many there are to train on.
        held_out: the stream of the rows that are held out, None for none.

    Raises:
        DataError: there are no parquet files, one cannot be read, or all row groups would be held out.
        UsageError: a number out of its range.

    Example:
        >>> import tempfile, pandas as pd
        >>> folder = tempfile.mkdtemp()
        >>> pd.DataFrame({"a": range(100), "b": range(100)}).to_parquet(f"{folder}/rows.parquet", row_group_size=10)
        >>> stream = ParquetStream(folder, buffer_rows=40)
        >>> stream.rows, stream.held_out.rows, len({int(row[0]) for row in stream})
        (90, 10, 90)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        columns: Sequence[str] | None = None,
        context: Sequence[str] = (),
        *,
        buffer_rows: int = 2**18,
        shards: int = 4,
        held_out: float = 0.1,
        seed: int = 0,
    ) -> None:
        if buffer_rows < 1 or shards < 1 or not 0 <= held_out < 1:
            raise UsageError(
                f"expected buffer_rows and shards of at least 1 and held_out in [0, 1), got {buffer_rows}, {shards} "
                f"and {held_out}"
            )
        seed = check_seed("seed", seed)
        groups = row_groups(source)
        self.context = tuple(context)
        self.columns = (
            tuple(name for name in groups[0].columns if name not in context) if columns is None else tuple(columns)
        )
        self.seed, self.buffer_rows, self._most_shards, self._epoch = seed, buffer_rows, shards, 0
        self._transform: Transform | None = None
        count = max(1, round(held_out * len(groups))) if held_out else 0
        if count == len(groups):
            raise UsageError(
                f"{source}: one row group cannot be held out of one; write smaller row groups, or take held_out=0"
            )
        chosen = set(np.random.default_rng(seed).permutation(len(groups))[:count].tolist())
        self.held_out = self._of([group for index, group in enumerate(groups) if index in chosen]) if chosen else None
        self._take([group for index, group in enumerate(groups) if index not in chosen])

    def _take(self, groups: list[RowGroup]) -> None:
        self.groups = groups
        self.rows = sum(group.rows for group in groups)
        # A divisor of what was asked for, so that as many processes can still share them.
        self.shards = next(
            n for n in range(self._most_shards, 0, -1) if self._most_shards % n == 0 and n <= len(groups)
        )

    def _of(self, groups: list[RowGroup]) -> ParquetStream:
        other = copy.copy(self)
        other.held_out = None
        other._take(groups)
        return other

    def mapped(self, transform: Transform) -> ParquetStream:
        """The same rows as ``transform`` makes events ``(n, ...)`` and contexts, or None, of a data frame of them."""
        other = copy.copy(self)
        other._transform = transform
        other.held_out = None if self.held_out is None else self.held_out.mapped(transform)
        return other

    def sample(self, rows: int, seed: int = 0) -> pd.DataFrame:
        """So many random rows without replacement, or all there are, of row groups that are drawn first, no more than
        64 where these hold enough.

        Raises:
            DataError: a file cannot be read.
        """
        import pandas as pd

        rng = np.random.default_rng(check_seed("seed", seed))
        # Fewer than asked for are read only where there are no more.
        order = [self.groups[index] for index in rng.permutation(len(self.groups))]
        enough = int(np.searchsorted(np.cumsum([group.rows for group in order]), rows)) + 1
        groups = order[: max(enough, min(_MOST_GROUPS, rows // _ROWS_OF_A_GROUP))]
        sizes = np.array([group.rows for group in groups])
        counts = rng.multivariate_hypergeometric(sizes, min(rows, int(sizes.sum())), method="marginals")
        drawn = [(group, rng.permutation(group.rows)[:count]) for group, count in zip(groups, counts) if count]
        return pd.concat([self._frame(group).iloc[chosen] for group, chosen in drawn])

    def pair(self, frame: pd.DataFrame, dtype: torch.dtype, name: object = "the stream") -> Pair:
        """The events and contexts of rows, whole as they are trained on.

        Raises:
            DataError: something is no number, missing or infinite.
        """
        if self._transform is not None:
            x, context = self._transform(frame)
            return x.to(dtype), None if context is None else context.to(dtype)
        kind = np.float64 if dtype == torch.float64 else np.float32
        x = torch.from_numpy(numeric(str(name), frame, self.columns, kind)).to(dtype)
        if not self.context:
            return x, None
        return x, torch.from_numpy(numeric(str(name), frame, self.context, kind)).to(dtype)

    def read(self, group: RowGroup, dtype: torch.dtype) -> Rows:
        """The events and contexts of a row group, and the numbers of the rows among those of all files.

        Raises:
            DataError: the file cannot be read, something in it is no number, missing or infinite.
        """
        x, context = self.pair(self._frame(group), dtype, group)
        return x, context, torch.arange(group.start, group.start + group.rows)

    def shard(self, index: int, seed: int, dtype: torch.dtype) -> Shard:
        """One of the shards, in the order of a seed."""
        return Shard(
            lambda epoch: self._blocks(index, epoch, seed), lambda group: self.read(group, dtype), (seed, index)
        )

    def _blocks(self, shard: int, epoch: int, seed: int) -> list[list[RowGroup]]:
        blocks: list[list[RowGroup]] = [[]]
        for group in deal(self.groups, self.shards, epoch, seed)[shard]:
            if sum(each.rows for each in blocks[-1]) >= self.buffer_rows / self.shards:
                blocks.append([])
            blocks[-1].append(group)
        return blocks

    def set_epoch(self, epoch: int) -> None:
        """Which epoch the next pass is; without this each pass in a process is the next one."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        share, shares = _share()
        epoch, self._epoch = self._epoch, self._epoch + 1
        for shard in range(share, self.shards, shares):
            for x, context, _ in self.shard(shard, self.seed, torch.get_default_dtype()).epoch(epoch):
                yield from x if context is None else zip(x, context)

    def _frame(self, group: RowGroup) -> pd.DataFrame:
        return group.read([*self.columns, *self.context])


def deal(groups: Sequence[RowGroup], shards: int, epoch: int, seed: int) -> list[list[RowGroup]]:
    """Row groups in random order, each dealt to the shard that has the fewest rows so far."""
    dealt: list[list[RowGroup]] = [[] for _ in range(shards)]
    rows = np.zeros(shards, dtype=np.int64)
    for index in np.random.default_rng([seed, epoch]).permutation(len(groups)):
        fewest = int(rows.argmin())
        dealt[fewest].append(groups[index])
        rows[fewest] += groups[index].rows
    return dealt


def _share() -> tuple[int, int]:
    """Which of how many readers this is: of the workers of the loaders of all processes."""
    worker = get_worker_info()
    index, count = (worker.id, worker.num_workers) if worker is not None else (0, 1)
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank, processes = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
    return rank * count + index, processes * count
