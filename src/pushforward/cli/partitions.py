"""Scoring and sampling folders of parquet files on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pushforward.accuracy import Accuracy
from pushforward.cli.configuration import is_table_run
from pushforward.cli.runs import open_run
from pushforward.cli.scoring import FlowScorer, Scorer, open_scorer
from pushforward.cli.table_runs import FittedTable, open_table_run, parse_given
from pushforward.cli.terminal import say
from pushforward.errors import DataError
from pushforward.flows.saving import MODEL
from pushforward.partitions import Report, SavedModel
from pushforward.partitions import sample as sample_partitions
from pushforward.partitions import score as score_partitions
from pushforward.partitions.models import FlowRows, numbered_on
from pushforward.sklearn import FlowDensity
from pushforward.training.runs.folder import CONFIGURATION


@dataclass(frozen=True)
class Workers:
    """Who does the work, and whether it goes on with what is there."""

    engine: str
    scheduler: str | None
    resume: bool

    def options(self, quiet: bool) -> dict[str, Any]:
        """As `pushforward.partitions` takes them."""
        talk = (lambda line: None) if quiet else say
        return {"engine": self.engine, "scheduler": self.scheduler, "resume": self.resume, "say": talk}


def score_folder(
    folder: Path, source: str, out: str, keep: Sequence[str], importance_samples: int, workers: Workers, quiet: bool
) -> dict[str, Any]:
    """Score parquet files into a folder; return what there is to say.

    Raises:
        DataError: some could not be scored; the others are.
    """
    opener = partial(open_scoring_rows, importance_samples=importance_samples)
    opener(folder)
    report = score_partitions(_saved(folder, opener), source, out, keep=keep, **workers.options(quiet))
    return _facts(report)


def sample_folder(
    folder: Path, out: str, count: int, given: Sequence[str], seed: int | None, workers: Workers, quiet: bool
) -> dict[str, Any]:
    """Draw rows into a folder of parquet files; return what there is to say.

    Raises:
        DataError: some could not be drawn; the others are.
    """
    opener = partial(open_drawing_rows, given=tuple(given))
    opener(folder)
    report = sample_partitions(_saved(folder, opener), count, out, seed=seed or 0, **workers.options(quiet))
    return _facts(report)


def open_scoring_rows(folder: Path, importance_samples: int) -> ScoringRows:
    """What scores the rows of partitions with the model of a run; on the CPU, as each worker has a processor.

    Raises:
        CheckpointError, UsageError: as `open_scorer` does.
    """
    return ScoringRows(open_scorer(folder, "cpu", importance_samples, None))


def open_drawing_rows(folder: Path, given: Sequence[str]) -> TableDraws | FlowDraws:
    """What draws the rows of partitions with the model of a run, given values of a table's columns.

    Raises:
        CheckpointError: there is no run, or its model is damaged.
        UsageError: its events are no vectors, or a column that is given is not one of the table's.
    """
    if is_table_run(folder):
        fitted = open_table_run(folder)
        return TableDraws(fitted, parse_given(fitted.run, given))
    run, flow = open_run(folder)
    return FlowDraws(FlowRows(flow), run.columns)


class ScoringRows:
    """Scores the rows of partitions; one frame at a time where draws of a common random state are needed."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self._lock = scorer, Lock()
        self._draws = isinstance(scorer, FlowScorer) and scorer.flow.accuracy is not Accuracy.EXACT
        self.columns = scorer.columns or None

    def log_density(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        # The draws begin with the number of the first row, and are to be the same for the same rows.
        rows = rows.reset_index(drop=True)
        if not self._draws:
            return self._scorer(rows)
        with self._lock:
            return self._scorer(rows)


@dataclass(frozen=True)
class TableDraws:
    """Draws rows of a fitted table, given values of other columns."""

    fitted: FittedTable
    given: pd.DataFrame | None

    def draw(self, rows: int, seed: int, first: int = 0) -> pd.DataFrame:
        drawn, estimator = self.fitted.sample(rows, self.given, np.random.RandomState(seed)), self.fitted.estimator
        return numbered_on(drawn, estimator, first) if isinstance(estimator, FlowDensity) else drawn


@dataclass(frozen=True)
class FlowDraws:
    """Draws rows of a flow under the names of its columns."""

    rows: FlowRows
    names: tuple[str, ...]

    def draw(self, rows: int, seed: int, first: int = 0) -> pd.DataFrame:
        drawn = self.rows.draw(rows, seed, first)
        return drawn.set_axis(list(self.names), axis=1) if self.names else drawn


def _saved(folder: Path, opener: Any) -> SavedModel[Any]:
    return SavedModel.read([folder / CONFIGURATION, folder / MODEL], opener)


def _facts(report: Report) -> dict[str, Any]:
    if report.failures:
        done = f"{report.partitions + report.skipped} partitions are done"
        raise DataError(f"{len(report.failures)} could not be done ({done}): {'; '.join(report.failures)}")
    return {
        "rows": report.rows,
        "partitions": report.partitions,
        "skipped": report.skipped,
        "seconds": round(report.seconds, 2),
        "rows_per_second": round(report.rows_per_second),
    }
