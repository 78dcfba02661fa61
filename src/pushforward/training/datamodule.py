"""The training and validation data as Lightning and the module take them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import lightning as L
import torch

from pushforward.data.streams import ParquetStream
from pushforward.training.batches import Batch, Batches, take
from pushforward.training.inputs import Pair
from pushforward.training.streaming import StreamedBatches, streamed_rows


class FlowData(L.LightningDataModule):
    """Tensors in memory or streams, served in batches of a floating-point type, to each process its share."""

    def __init__(
        self,
        train: Pair | ParquetStream,
        validation: Pair | ParquetStream | None,
        batch_size: int,
        seed: int,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.batch_size, self.seed, self.dtype = batch_size, seed, dtype
        self.first_step = 0

    def batches(self) -> Batches | StreamedBatches:
        """The training stream of this process."""
        if isinstance(self.train, ParquetStream):
            return StreamedBatches(self.train, self.batch_size, self.seed, self.dtype, *self._place())
        return Batches(*self.train, self.batch_size, self.seed, self.dtype, *self._place())

    def train_dataloader(self) -> Any:
        """An endless iterable: a step counter, not Lightning's epochs, says where the stream is."""
        return _Stream(self)

    def validation_batches(self) -> Iterator[Batch]:
        """This process's share of the validation rows, in order."""
        assert self.validation is not None
        rank, world_size = self._place()
        if isinstance(self.validation, ParquetStream):
            yield from streamed_rows(self.validation, self.batch_size, self.dtype, rank, world_size)
            return
        for rows in torch.arange(rank, len(self.validation[0]), world_size).split(self.batch_size):
            yield take(*self.validation, rows, self.dtype)

    @cached_property
    def validation_digest(self) -> str:
        """What tells these validation rows from others; of a stream, how many there are in each row group."""
        digest = hashlib.blake2b(digest_size=16)
        if isinstance(self.validation, ParquetStream):
            digest.update(repr([group.rows for group in self.validation.groups]).encode())
        else:
            for part in self.validation or ():
                if part is not None:
                    digest.update(f"{part.dtype} {tuple(part.shape)} ".encode())
                    digest.update(part.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def _place(self) -> tuple[int, int]:
        """Which process this is, and of how many."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class _Stream:
    def __init__(self, data: FlowData) -> None:
        self._data = data

    def __iter__(self) -> Iterator[Batch]:
        return self._data.batches().stream(self._data.first_step)
