"""Finished partitions: written whole, with a mark that says what they are the result of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as parquet

from pushforward.data.storage import ENDING, filesystem, hidden_from, opened, replaced
from pushforward.errors import DataError, UsageError
from pushforward.kernels.memory import kept_memory
from pushforward.partitions.partition import Partition

_JOB, _ORIGIN, _SOURCE = b"pushforward_job", b"pushforward_origin", b"pushforward_source"
_READERS = 16

#: The record batches that a partition becomes, at least one.
Work = Callable[[Partition], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Outcome:
    """What became of a partition: done, or the reason why not."""

    partition: Partition
    failure: str | None = None


@dataclass(frozen=True)
class Job:
    """A picklable function that does one partition, and writes it into a folder.

    Attributes:
        work: what the partition becomes.
        out: the folder's address.
        fingerprint: what tells this job's results from another's, of another model for example.
    """

    work: Work
    out: str
    fingerprint: str

    def __call__(self, partition: Partition) -> Outcome:
        """Do a partition; whatever is wrong with it is told in the outcome, and the others go on."""
        try:
            with kept_memory():
                self._write(partition)
        except Exception as error:  # A table can be wrong in ways that no list holds, and must not end the others.
            return Outcome(partition, _told(partition, error))
        return Outcome(partition)

    def address(self, partition: Partition) -> str:
        """Where the partition's result lies."""
        return f"{self.out.rstrip('/')}/{partition.name}"

    def unfinished(self, partitions: Sequence[Partition], resume: bool) -> list[Partition]:
        """The partitions that are not done yet, or were done from what has changed since.

        Raises:
            UsageError: one is done and this is not to be gone on with, or it is the result of another job.
        """
        fs, path = filesystem(self.out)
        there = {str(fs.unstrip_protocol(each)) for each in fs.find(path)} if fs.exists(path) else set()
        root = str(fs.unstrip_protocol(path)).rstrip("/")
        done = [partition for partition in partitions if f"{root}/{partition.name}" in there]
        if done and not resume:
            raise UsageError(
                f"{self.address(done[0])} is there already: resume goes on with what is not done, or choose another "
                "folder"
            )
        with ThreadPoolExecutor(_READERS) as pool:
            marks = dict(zip(done, pool.map(lambda partition: _read_mark(self.address(partition)), done)))
        for partition, mark in marks.items():
            if mark.get(_JOB) != self.fingerprint.encode():
                raise UsageError(
                    f"{self.address(partition)} is the result of another model or of other options: choose another "
                    "folder, or remove it"
                )
        current = {partition for partition, mark in marks.items() if mark.get(_ORIGIN) == partition.origin.encode()}
        return [partition for partition in partitions if partition not in current]

    def sweep(self, partitions: Sequence[Partition]) -> None:
        """Remove what killed workers left, and what a file became that was cut otherwise before it changed."""
        fs, path = filesystem(self.out)
        there = fs.find(path) if fs.exists(path) else []
        names = {str(each).removeprefix(path).strip("/"): each for each in there}
        planned = {partition.name for partition in partitions}
        stems = {name.removesuffix(ENDING) for name in planned}
        sources = {partition.source.encode() for partition in partitions if partition.source}
        for name, place in names.items():
            if hidden_from(name) in stems or (name not in planned and self._is_of(name, sources)):
                fs.rm(place)

    def _is_of(self, name: str, sources: set[bytes]) -> bool:
        """Whether a file is this job's result of one of the files that are read."""
        mark = _read_mark(f"{self.out.rstrip('/')}/{name}")
        return mark.get(_JOB) == self.fingerprint.encode() and mark.get(_SOURCE) in sources

    def _write(self, partition: Partition) -> None:
        batches = self.work(partition)
        # What is wrong with the first rows shows before a file is made.
        first = next(batches)
        marks = {_JOB: self.fingerprint, _ORIGIN: partition.origin, _SOURCE: partition.source}
        schema = first.schema.with_metadata({name: value.encode() for name, value in marks.items()})
        with replaced(self.address(partition)) as path, parquet.ParquetWriter(path, schema) as writer:
            writer.write_batch(first.cast(schema))
            for batch in batches:
                writer.write_batch(batch.cast(schema))


def _read_mark(address: str) -> dict[bytes, bytes]:
    try:
        with opened(address) as file:
            return parquet.read_schema(file).metadata or {}
    except (pa.ArrowException, OSError, DataError):
        # Whatever it is, it is no result of ours.
        return {}


def _told(partition: Partition, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    place = partition.source or partition.name
    return reason if reason.startswith(place) else f"{place}: {reason}"
