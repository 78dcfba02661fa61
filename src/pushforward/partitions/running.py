"""Doing the partitions of a job that are not done, by an engine, and telling what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pushforward.partitions.engines import do_partitions
from pushforward.partitions.partition import Partition
from pushforward.partitions.report import Report, Say, follow
from pushforward.partitions.writing import Job

if TYPE_CHECKING:
    from dask.distributed import Client


def run_job(
    job: Job,
    partitions: Sequence[Partition],
    failures: Sequence[str],
    *,
    engine: str,
    scheduler: str | Client | None,
    workers: int | None,
    resume: bool,
    say: Say,
) -> Report:
    """Do what is not done of ``partitions``; ``failures`` are known before. See `score` for the other arguments."""
    unfinished = job.unfinished(partitions, resume)
    outcomes = do_partitions(job, unfinished, engine, scheduler, workers)
    rows = sum(partition.rows for partition in unfinished)
    report = follow(outcomes, rows, len(partitions) - len(unfinished), failures, say)
    job.sweep(partitions)
    return report
