"""Scoring tables of any length with a trained model, a chunk at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.cli.configuration import is_table_run
from pushforward.cli.runs import Run, open_run
from pushforward.data.export import table_writer
from pushforward.data.numpy_files import NUMPY_ENDINGS, split_name
from pushforward.data.table_files import TableFile, open_array, open_table
from pushforward.data.tables import numeric
from pushforward.errors import DataError, UsageError
from pushforward.extras import requires
from pushforward.flows.flow import Flow
from pushforward.training.evaluate import log_probs

with requires("data", purpose="scoring a table"):
    import pandas as pd

_ROWS = 65536


class Scorer(Protocol):
    """Gives the log-density of the rows of a frame.

    Attributes:
        columns: those that a frame must have; none for all that it has.
        texts: those of them that are read as text whatever stands in them.
        accuracy: what the log-density is: exact, a lower bound or an estimate.
    """

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def texts(self) -> tuple[str, ...]: ...

    @property
    def accuracy(self) -> str: ...

    def __call__(self, frame: pd.DataFrame) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class FlowScorer:
    """Scores rows with a flow of vectors: nats, a lower bound where the flow is not exact."""

    run: Run
    flow: Flow
    importance_samples: int = 1
    batch_size: int | None = None
    texts: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return self.run.columns

    @property
    def accuracy(self) -> str:
        return self.flow.accuracy.describe()

    def __call__(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        x = torch.from_numpy(numeric("the rows", frame, self.columns or None, np.float64))
        return log_probs(
            self.flow,
            x,
            importance_samples=self.importance_samples,
            batch_size=self.batch_size,
            seed=int(frame.index[0]),
        ).numpy()


def open_scorer(folder: Path, device: str | None, importance_samples: int, batch_size: int | None) -> Scorer:
    """What scores rows with the model of a run.

    Raises:
        CheckpointError: there is no run, or its model is damaged.
        UsageError: its events are no vectors.
    """
    if is_table_run(folder):
        from pushforward.cli.table_runs import open_table_run

        return open_table_run(folder)
    run, flow = open_run(folder, device)
    if len(flow.event_shape) != 1:
        raise UsageError(
            f"score takes models of vectors, this one's events are {tuple(flow.event_shape)}; use evaluate"
        )
    return FlowScorer(run, flow, importance_samples, batch_size)


def score_table(
    scorer: Scorer,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    progress: Callable[[int], None] | None = None,
    keep: tuple[str, ...] = (),
) -> tuple[int, float]:
    """Write ``row, log_prob`` for every row of a table into a csv, tsv or parquet file, or csv on standard output for
    ``-``; columns that are kept, as they are, stand between these.

    Only a chunk of the table is in memory at a time. The log-density is in nats and in the units of the table.

    Returns:
        the number of rows and the mean log-density.

    Raises:
        UsageError: a column that is kept has the name of one that is written.
        DataError: the table cannot be read, or misses a column, or holds what the model does not take.
        FileError: the scores cannot be written; nothing is left of them then.
    """
    taken = [name for name in keep if name in ("row", "log_prob")]
    if taken:
        raise UsageError(f"keep: {taken[0]!r} is a column of the scores; rename the column of the table")
    rows, total = 0, 0.0
    columns = scorer.columns or tuple(name for name in opened(source).names if name not in keep)
    others = [name for name in keep if name not in columns]
    chunks = opened(source, (*columns, *others)).chunks(_ROWS, (*scorer.texts, *others))
    # Whatever is wrong with the table's head shows before the output is touched.
    frame: pd.DataFrame | None = next(chunks)
    with table_writer(target, float_format="%.9g") as write:
        while frame is not None:
            scores = _scored(scorer, source, frame[list(columns)])
            written = frame[list(keep)].assign(log_prob=scores)
            written.insert(0, "row", np.arange(rows, rows + len(scores)))
            write(written)
            rows, total = rows + len(scores), total + float(scores.sum())
            if progress is not None:
                progress(rows)
            frame = next(chunks, None)
    return rows, total / rows if rows else math.nan


def _scored(scorer: Scorer, source: str | os.PathLike[str], frame: pd.DataFrame) -> NDArray[np.float64]:
    try:
        return scorer(frame)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def opened(source: str | os.PathLike[str], columns: tuple[str, ...] = ()) -> TableFile:
    """The chosen columns of a table, or an array whose columns are these, in their order.

    Raises:
        DataError: it cannot be read, or misses a column.
    """
    if split_name(source)[0].suffix.lower() in NUMPY_ENDINGS:
        return open_array(source, columns)
    return open_table(source).choose(columns)
