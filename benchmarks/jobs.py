"""Jobs side by side, each in a process of its own with one thread; what one finds may ask for more."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import torch

WORKERS = int(os.environ.get("JOBS", os.cpu_count() or 1))
"""How many jobs at a time: the environment's JOBS, by default one for each processor."""
LIMIT = float(os.environ.get("LIMIT", "inf"))
"""Seconds after which no more jobs begin: the environment's LIMIT, by default none."""


@dataclass(frozen=True)
class Job:
    """A call ``function(*arguments)``; those of lower ``order`` begin first."""

    order: float
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass
class Jobs:
    """Jobs that wait; iterating runs them and gives ``(job, result)`` as they end, ``add`` may be called meanwhile.

    A job that raises has None for a result, and its error is printed.
    """

    waiting: list[Job] = field(default_factory=list)

    def add(self, order: float, function: Callable[..., Any], *arguments: Any) -> None:
        """Add a job."""
        self.waiting.append(Job(order, function, arguments))

    def __iter__(self) -> Iterator[tuple[Job, Any]]:
        # Before the processes begin, since their libraries read it as they are imported.
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn"), _one_thread) as pool:
            running: dict[Future[Any], Job] = {}
            began = time.monotonic()
            while self.waiting or running:
                if time.monotonic() - began > LIMIT:
                    self.waiting.clear()
                while self.waiting and len(running) < WORKERS:
                    job = min(self.waiting, key=lambda job: job.order)
                    self.waiting.remove(job)
                    running[pool.submit(job.function, *job.arguments)] = job
                done = wait(running, return_when=FIRST_COMPLETED).done if running else ()
                for future in done:
                    yield running.pop(future), _result(future)


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except Exception:
        traceback.print_exc()
        return None


def _one_thread() -> None:
    torch.set_num_threads(1)
