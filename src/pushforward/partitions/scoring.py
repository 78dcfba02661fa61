"""The log-densities of a folder of parquet files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pushforward.data.storage import filesystem, parquet_files
from pushforward.errors import DataError, PushforwardError, UsageError
from pushforward.partitions.engines import check_engine
from pushforward.partitions.partition import Partition, plan_partitions
from pushforward.partitions.record_batches import ScoreBatches
from pushforward.partitions.report import Report, Say
from pushforward.partitions.running import run_job
from pushforward.partitions.writing import Job

if TYPE_CHECKING:
    from dask.distributed import Client


def score(
    model: Any,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    keep: Sequence[str] = (),
    engine: str = "local",
    scheduler: str | Client | None = None,
    workers: int | None = None,
    resume: bool = False,
    say: Say = lambda line: None,
) -> Report:
    """Write the log-density of every row of parquet files, in nats and in the units of the tables.

    A file becomes a file of the same name with a column ``log_prob``, row by row; one of more than a million rows
    becomes several, cut at its row groups, in the order of their names. Each is written under another name and then
    renamed, so what is there is whole. Memory holds 65,536 rows for each worker.

    Args:
        model: a flow, a fitted `FlowDensity`, or the path of a file that holds one.
        source: a folder, a file or a glob, here or wherever fsspec reaches (``s3://bucket/data/*.parquet``).
        out: the folder of the scores, here or there.
        keep: columns that stand before the scores, such as the rows' names.
        engine: ``"local"``, the processors of this machine, or ``"dask"``, which does what a worker that dies has not
            done by another.
        scheduler: the address of a dask scheduler or its client; without one, a cluster on this machine is started.
        workers: how many, where there is no scheduler; by default one for each processor.
        resume: skip what is there already of this model and these files; files that have changed are scored again.
        say: takes a line now and then on how far the work is.

    Returns:
        What was done, with a sentence for each file that could not be scored; the others are.

    Raises:
        UsageError: an unknown engine, scores that are there already or are another model's, or nobody at the scheduler.
        DataError: there are no parquet files.

    Example:
        >>> import tempfile, pandas as pd, pushforward as pf
        >>> folder = tempfile.mkdtemp()
        >>> pd.DataFrame({"a": [0.0, 1.0], "b": [0.5, 0.5]}).to_parquet(f"{folder}/rows.parquet")
        >>> score(pf.build("realnvp", features=2), folder, f"{folder}/scored").rows
        2
    """
    check_engine(engine, scheduler, workers)
    scores = ScoreBatches(model, keep)
    files = parquet_files(source)
    target = absolute(out)
    inside = [address for address in files.values() if address.startswith(f"{target}/")]
    if inside:
        raise UsageError(f"{inside[0]} lies in the folder of the scores: choose another --out, or a narrower glob")
    fingerprint = hashlib.sha256(f"score {scores.model.fingerprint} {scores.keep}".encode()).hexdigest()
    job = Job(ScorePartition(scores), target, fingerprint)
    partitions, failures = plan_partitions(files)
    return run_job(
        job, partitions, failures, engine=engine, scheduler=scheduler, workers=workers, resume=resume, say=say
    )


@dataclass(frozen=True)
class ScorePartition:
    """The scores of a partition, batch by batch."""

    scores: ScoreBatches

    def __call__(self, partition: Partition) -> Iterator[pa.RecordBatch]:
        for group, batch in partition.batches(self.scores.columns):
            try:
                yield self.scores(batch)
            except PushforwardError as error:
                raise DataError(f"{partition.source}, row group {group}: {error}") from error


def absolute(address: str | os.PathLike[str]) -> str:
    """The full address of a folder, which workers in another working directory understand."""
    fs, path = filesystem(address)
    return str(fs.unstrip_protocol(path)).rstrip("/")
