"""Scoring tables of any length with a trained flow, a chunk at a time."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from pushforward.cli.runs import Run, column_names
from pushforward.data.dataset import as_float
from pushforward.data.numpy_files import read_array
from pushforward.data.sources import require_file
from pushforward.data.table_files import is_table
from pushforward.data.tables import iterate_table, numeric
from pushforward.errors import DataError
from pushforward.files import atomic_path
from pushforward.flows.flow import Flow
from pushforward.training.evaluate import log_probs

_ROWS = 65536


def score_table(
    run: Run,
    flow: Flow,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    importance_samples: int = 1,
    batch_size: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, float]:
    """Write ``row,log_prob`` for every row of a table into a csv file, or to standard output for ``-``.

    Only a chunk of the table is in memory at a time. The log-density is in nats and in the units of the table; it is
    a lower bound where the flow is not exact.

    Returns:
        the number of rows and the mean log-density.

    Raises:
        DataError: the table cannot be read, or misses a column, or holds what is no number.
        FileError: the scores cannot be written; nothing is left of them then.
    """
    rows, total = 0, 0.0
    chunks = _chunks(run, Path(source))
    # Whatever is wrong with the table's head shows before the output is touched.
    chunk: Tensor | None = next(chunks)
    with _opened(target) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "log_prob"])
        while chunk is not None:
            x, context = run.pair(chunk, run.inputs())
            scores = log_probs(
                flow, x, context, importance_samples=importance_samples, batch_size=batch_size, seed=rows
            )
            scores = scores - run.log_volume
            writer.writerows((rows + index, f"{value:.9g}") for index, value in enumerate(scores.tolist()))
            rows, total = rows + len(scores), total + scores.sum().item()
            if progress is not None:
                progress(rows)
            chunk = next(chunks, None)
    return rows, total / rows if rows else math.nan


def _chunks(run: Run, source: Path) -> Iterator[Tensor]:
    if is_table(source):
        for frame in iterate_table(source, _ROWS, run.inputs()):
            yield torch.from_numpy(numeric(source, frame, run.inputs() or None))
        return
    if require_file(source).suffix not in (".npy", ".npz"):
        raise DataError(f"{source}: expected .csv, .csv.gz, .parquet, .npy or .npz")
    x = as_float(read_array(source))
    wanted = len(run.inputs())
    if x.ndim != 2 or (wanted and x.shape[1] != wanted):
        names = ", ".join(column_names(wanted, run.inputs()))
        raise DataError(f"{source}: expected rows of {wanted} numbers ({names}), got shape {tuple(x.shape)}")
    yield from x.split(_ROWS)


@contextmanager
def _opened(target: str | os.PathLike[str]) -> Iterator[IO[str]]:
    if str(target) == "-":
        yield sys.stdout
        return
    with atomic_path(target) as temporary, temporary.open("w", newline="") as file:
        yield file
