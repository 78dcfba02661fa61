"""Scoring a folder of parquet files: this machine's threads, dask, and Ray Data, on the same files and model.

    python benchmarks/partitions.py data --rows 20000000      # 10 columns, files of a million rows, into --folder
    python benchmarks/partitions.py local dask                # time, rows/s, peak memory of all processes
    PYTHON_WITH_RAY benchmarks/partitions.py ray              # Ray Data is no dependency: pip install 'ray[data]'
    python benchmarks/partitions.py remove

Each prints a line. Every engine calls the same function from a record batch to a record batch, in one thread for each
worker, and is started anew.
"""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import torch

import pushforward as pf

COLUMNS = 10
ROWS_IN_FILE = 1_000_000


def write_data(folder: Path, rows: int) -> None:
    """Correlated normal columns with a bend, and a flow that is scaled to them."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(COLUMNS, COLUMNS)) / COLUMNS**0.5
    for index, start in enumerate(range(0, rows, ROWS_IN_FILE)):
        x = rng.normal(size=(min(ROWS_IN_FILE, rows - start), COLUMNS)) @ mixing
        x[:, 1] += x[:, 0] ** 2
        frame = pd.DataFrame(x.astype(np.float32), columns=[f"x{column}" for column in range(COLUMNS)])
        frame.to_parquet(folder / "data" / f"part-{index:03}.parquet", row_group_size=250_000, index=False)
    torch.manual_seed(0)
    # A quick flow, so that the engines' own time shows.
    flow = pf.build("maf", features=COLUMNS, layers=2, hidden=(32,))
    flow.initialise(torch.from_numpy(x[:1000]).float())
    pf.save(flow, folder / "model.safetensors")


def local(folder: Path, out: Path, workers: int) -> None:
    pf.partitions.score(folder / "model.safetensors", folder / "data", out, workers=workers)


def dask(folder: Path, out: Path, workers: int) -> None:
    pf.partitions.score(folder / "model.safetensors", folder / "data", out, engine="dask", workers=workers)


def ray(folder: Path, out: Path, workers: int) -> None:
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    score = pf.partitions.ScoreBatches(folder / "model.safetensors")

    def scored(table: pa.Table) -> pa.Table:
        torch.set_num_threads(1)
        return pa.Table.from_batches([score(batch) for batch in table.combine_chunks().to_batches()])

    rows = ray.data.read_parquet(str(folder / "data"))
    rows.map_batches(scored, batch_format="pyarrow", batch_size=65536).write_parquet(str(out))
    ray.shutdown()


ENGINES: dict[str, Callable[[Path, Path, int], None]] = {"local": local, "dask": dask, "ray": ray}


class PeakMemory(threading.Thread):
    """The largest sum of the private memory of this process and those below it, in GB, looked at twice a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self._ended = 0.0, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.5):
            self.peak = max(self.peak, sum(map(_private, [psutil.Process(), *psutil.Process().children(True)])) / 1e9)

    def end(self) -> float:
        self._ended.set()
        self.join()
        return self.peak


def _private(process: psutil.Process) -> int:
    try:
        memory: Any = process.memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss)


def measure(name: str, folder: Path, workers: int) -> None:
    """Time one engine, its start and end included, and count what it wrote."""
    out = folder / f"scored-{name}"
    shutil.rmtree(out, ignore_errors=True)
    memory = PeakMemory()
    memory.start()
    began = time.perf_counter()
    ENGINES[name](folder, out, workers)
    seconds = time.perf_counter() - began
    scores = pd.read_parquet(out, columns=["log_density"]).log_density
    files = len(list(out.rglob("*.parquet")))
    print(
        f"{name:6} {len(scores):>12,} rows {seconds:8.1f} s {len(scores) / seconds:>10,.0f} rows/s "
        f"{memory.end():6.2f} GB {files:5} files, mean {scores.mean():.6f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=["data", *ENGINES, "remove"])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/pushforward-partitions"))
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for task in options.tasks:
        if task == "data":
            write_data(options.folder, options.rows)
        elif task == "remove":
            shutil.rmtree(options.folder)
        else:
            measure(task, options.folder, options.workers)


if __name__ == "__main__":
    main()
