"""Who does the partitions: the threads of this machine, or the workers of a dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

import torch

from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.partitions.partition import Partition
from pushforward.partitions.writing import Job, Outcome

if TYPE_CHECKING:
    from dask.distributed import Client

ENGINES = ("local", "dask")
_SECONDS_TO_CONNECT = 20
# Dask's own settings for its workers without the one by which each large array is given back to the system as it is
# freed, and cleared page by page when the next one is made.
_ENVIRONMENT = {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1}


def do_partitions(
    job: Job, partitions: Sequence[Partition], engine: str, scheduler: str | Client | None, workers: int | None
) -> Iterator[Outcome]:
    """Do the partitions, in any order, by ``engine``; see `score` for the arguments."""
    if engine == "local":
        return _by_threads(job, partitions, workers)
    return _by_dask(job, partitions, scheduler, workers)


def check_engine(engine: str, scheduler: Any, workers: int | None) -> None:
    """Check the choice of the workers before any work.

    Raises:
        UsageError: an unknown engine, a scheduler for this machine's threads, no worker at all.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if scheduler is not None and engine != "dask":
        raise UsageError("a scheduler is for engine='dask'")
    if workers is not None and scheduler is not None:
        raise UsageError("workers are those of the scheduler: give one of the two")
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, got {workers}")


def _by_threads(job: Job, partitions: Sequence[Partition], workers: int | None) -> Iterator[Outcome]:
    threads = torch.get_num_threads()
    # The partitions go on side by side, so each computes in one thread.
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(workers or _processors())
    try:
        for future in as_completed([pool.submit(job, partition) for partition in partitions]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _by_dask(
    job: Job, partitions: Sequence[Partition], scheduler: str | Client | None, workers: int | None
) -> Iterator[Outcome]:
    with requires("cluster", purpose="engine='dask'"):
        from dask import config
        from dask.distributed import Client, KilledWorker, LocalCluster
        from dask.distributed import as_completed as completed

    if scheduler is None:
        with (
            config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT}),
            LocalCluster(n_workers=workers or _processors(), threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            yield from _by_dask(job, partitions, client, None)
        return
    if not isinstance(scheduler, Client):
        try:
            client = Client(scheduler, timeout=_SECONDS_TO_CONNECT)
        except (OSError, ValueError) as error:
            raise UsageError(f"no dask scheduler answers at {scheduler} ({error})") from error
        with client:
            yield from _by_dask(job, partitions, client, None)
        return
    futures = dict(zip(scheduler.map(job, partitions, key="partition", pure=False), partitions))
    try:
        for future in completed(futures):
            try:
                yield future.result()
            except KilledWorker as error:
                yield Outcome(futures[future], f"{futures[future].name}: each worker that took it died ({error})")
    finally:
        scheduler.cancel(list(futures))


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
