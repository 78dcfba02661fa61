"""Run over all blocks of a file, several at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Progress = Callable[[int, int], None]
"""Is told how many blocks are done and how many there are."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    function: Callable[[Item], Result], tasks: Sequence[Item], progress: Progress | None, most: int | None = None
) -> list[Result]:
    """Run over all blocks, one block a thread: several threads on one block would mostly wait for each other.

    At most ``most`` run at a time, where memory allows no more.
    """
    threads = torch.get_num_threads()
    workers = max(1, min(threads, len(tasks), os.cpu_count() or 1, threads if most is None else most))
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            results = pool.map(function, tasks)
            return [_report(result, done, len(tasks), progress) for done, result in enumerate(results)]
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def _report(result: Result, done: int, total: int, progress: Progress | None) -> Result:
    if progress is not None:
        progress(done + 1, total)
    return result
