"""Batches of a stream, for each process its share."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pushforward.data.shards import joined
from pushforward.data.streams import ParquetStream
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.flows.flow import Flow
from pushforward.training.batches import Batch
from pushforward.training.checks import check_pair, check_support
from pushforward.training.inputs import Pair


class StreamedBatches:
    """An endless stream of shuffled batches ``(events, contexts, rows)``, read as they are needed.

    The batch of a step is a function of the seed and the step alone. It holds equally many rows of each shard, and each
    of several processes reads an equal part of the shards.

    Args:
        stream: the rows.
        batch_size: rows in a batch over all processes; at most all there are.
        seed: of the order.
        dtype: of the events and contexts.
        rank, world_size: which process this is, and of how many.

    Raises:
        UsageError: the batch cannot be shared out evenly, or the shards cannot.
    """

    def __init__(
        self,
        stream: ParquetStream,
        batch_size: int,
        seed: int,
        dtype: torch.dtype,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        shards = stream.shards
        if shards % world_size:
            raise UsageError(
                f"{world_size} processes cannot share {shards} shards of {len(stream.groups)} row groups evenly: give "
                "the stream a multiple of them as shards, or write smaller row groups"
            )
        self.batch_size = min(batch_size, stream.rows // shards * shards)
        if self.batch_size < 1 or self.batch_size % shards:
            raise UsageError(
                f"batch_size must be a multiple of the stream's {shards} shards, got {self.batch_size}: choose "
                "another, or give the stream other shards"
            )
        self._stream, self._seed, self._dtype = stream, seed, dtype
        self._own = range(rank, shards, world_size)
        self.steps_per_epoch = stream.rows // self.batch_size

    def stream(self, step: int) -> Iterator[Batch]:
        """Every batch from ``step`` on.

        Raises:
            TrainingError: a file cannot be read any more, or holds something that is no finite number.
        """
        rows = self.batch_size // self._stream.shards
        shards = [self._stream.shard(index, self._seed, self._dtype) for index in self._own]
        pieces = [shard.pieces(rows, step * rows) for shard in shards]
        try:
            while True:
                yield joined([next(each) for each in pieces])
        except DataError as error:
            raise TrainingError(f"the training data end early: {error}; the last good weights are kept") from error


def streamed_rows(
    stream: ParquetStream, batch_size: int, dtype: torch.dtype, rank: int, world_size: int
) -> Iterator[Batch]:
    """A process's share of a stream in batches, in order, once."""
    for group in stream.groups[rank::world_size]:
        x, context, rows = stream.read(group, dtype)
        for start in range(0, len(rows), batch_size):
            part = slice(start, start + batch_size)
            yield x[part], None if context is None else context[part], rows[part]


def stream_head(flow: Flow, stream: ParquetStream, rows: int, seed: int, name: str, dtype: torch.dtype) -> Pair:
    """A random sample of a stream's rows, checked against the flow.

    Raises:
        ShapeError, UsageError, DataError: as `read_pair` does.
    """
    x, context = stream.pair(stream.sample(rows, seed), dtype)
    check_pair(flow, x, context, name)
    check_support(flow, x, name)
    return x, context
