"""A folder of parquet files of rows that a model draws."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pushforward.errors import UsageError
from pushforward.partitions.engines import check_engine
from pushforward.partitions.models import DrawsRows, SavedModel
from pushforward.partitions.partition import ROWS_IN_BATCH, ROWS_IN_PARTITION, Partition, part_names
from pushforward.partitions.report import Report, Say
from pushforward.partitions.running import run_job
from pushforward.partitions.scoring import absolute
from pushforward.partitions.writing import Job
from pushforward.seeds import check_seed

if TYPE_CHECKING:
    from dask.distributed import Client


def sample(
    model: Any,
    rows: int,
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    engine: str = "local",
    scheduler: str | Client | None = None,
    workers: int | None = None,
    resume: bool = False,
    say: Say = lambda line: None,
) -> Report:
    """Draw rows into parquet files of a million rows each; the same for the same seed, whoever draws how many of them.

    Args:
        model: a flow, a fitted `FlowDensity`, or the path of a file that holds one.
        rows: how many in all.
        out: the folder of the samples, here or wherever fsspec reaches.
        seed: of the draws; each partition has one of its own, derived from this and its number.
        engine, scheduler, workers, resume, say: as in `score`.

    Raises:
        UsageError: an unknown engine, no seed, samples that are there already or are others', or nobody at the
            scheduler.

    Example:
        >>> import tempfile, pandas as pd, pushforward as pf
        >>> folder = tempfile.mkdtemp()
        >>> sample(pf.build("realnvp", features=2), 100, folder).partitions
        1
        >>> pd.read_parquet(folder).shape
        (100, 2)
    """
    check_engine(engine, scheduler, workers)
    if rows < 1:
        raise UsageError(f"expected at least one row, got {rows}")
    seed = check_seed("seed", seed)
    saved = SavedModel.of(model)
    partitions = plan_samples(rows)
    fingerprint = hashlib.sha256(f"sample {saved.fingerprint} {rows} {seed}".encode()).hexdigest()
    job = Job(DrawPartition(saved, seed), absolute(out), fingerprint)
    return run_job(job, partitions, (), engine=engine, scheduler=scheduler, workers=workers, resume=resume, say=say)


def plan_samples(rows: int, limit: int = ROWS_IN_PARTITION) -> list[Partition]:
    """Partitions of at most ``limit`` rows, whose origin is the number of their first row.

    Example:
        >>> [(each.name, each.rows) for each in plan_samples(5, limit=3)]
        [('part-00000-of-00002.parquet', 3), ('part-00001-of-00002.parquet', 2)]
    """
    starts = range(0, rows, limit)
    names = part_names("part", len(starts))
    return [Partition(name, min(limit, rows - start), str(start)) for name, start in zip(names, starts)]


@dataclass(frozen=True)
class DrawPartition:
    """The rows of a partition, batch by batch, each from a seed of its own."""

    model: SavedModel[DrawsRows]
    seed: int

    def __call__(self, partition: Partition) -> Iterator[pa.RecordBatch]:
        model = self.model.open()
        starts = range(0, partition.rows, ROWS_IN_BATCH)
        first = int(partition.origin)
        sequence = np.random.SeedSequence(self.seed, spawn_key=(first,))
        for start, seed in zip(starts, sequence.generate_state(len(starts))):
            frame = model.draw(min(ROWS_IN_BATCH, partition.rows - start), int(seed), first + start)
            yield pa.RecordBatch.from_pandas(frame, preserve_index=False)
