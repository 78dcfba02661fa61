"""Using a fitted table on the command line: evaluate, sample, impute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.cli.run_data import check_there
from pushforward.cli.scoring import opened
from pushforward.cli.table_runs import FittedTable, open_table_run, parse_given, split_rows
from pushforward.cli.terminal import print_json, print_table, progress
from pushforward.data.export import is_written_as_array, table_writer, write_array
from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.plots import save, scatter_2d
from pushforward.plots.pictures import PICTURE_ENDINGS

with requires("tables", purpose="a model of a table"):
    import pandas as pd

_ROWS = 65536


def evaluate_table(folder: Path, data: str | None, part: str, as_json: bool) -> None:
    """Print the mean negative log-likelihood of a part of the rows, nats in the table's units."""
    if part == "validation":
        raise UsageError("a fit of a table chooses its own validation rows; --part must be train or test")
    fitted = open_table_run(folder)
    source, frame = rows_of(fitted, data, part)
    scores = -fitted(frame)
    mean, error = float(scores.mean()), float(scores.std() / np.sqrt(len(scores)))
    if as_json:
        facts = {"run": str(folder), "part": part, "events": len(frame), "accuracy": fitted.accuracy}
        print_json({**facts, "nats": mean, "nats_error": error})
        return
    heading = f"negative log-likelihood of {', '.join(fitted.run.modelled)}"
    title = f"{fitted.run.model} on {len(frame):,} rows ({part}) of {source}"
    print_table((heading,), [(f"{mean:.4f} ± {error:.4f} nats",)], title=title)


def rows_of(fitted: FittedTable, data: str | None, part: str) -> tuple[str, pd.DataFrame]:
    """The name of a table and a part of its rows, of the run's own table where no other is named.

    Raises:
        DataError: it cannot be read, or has too few rows.
    """
    source = data or fitted.run.data
    if data is None:
        check_there(fitted.run)
    frame = opened(source, fitted.columns).read(fitted.texts)
    return source, split_rows(source, frame)[part]


def sample_table(
    folder: Path, out: Path, count: int, given: Sequence[str], seed: int | None, silent: bool
) -> dict[str, Any]:
    """Draw rows into a table, a chunk at a time, or into an array or a picture; return what there is to say.

    Raises:
        UsageError: the rows do not go into such a file, or values of wrong columns are given.
    """
    fitted = open_table_run(folder)
    known = parse_given(fitted.run, given)
    whole = str(out) != "-" and (out.suffix.lower() in PICTURE_ENDINGS or is_written_as_array(out))
    if not whole:
        with table_writer(out) as write, progress(silent, count, "drawing") as advance:
            for start, frame in _drawn(fitted, count, known, seed):
                write(frame)
                advance(start + len(frame))
        return {"rows": count}
    frame = pd.concat([frame for _, frame in _drawn(fitted, count, known, seed)])
    words = [str(name) for name, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if words:
        raise UsageError(f"{out}: column {words[0]!r} holds no numbers; choose .csv, .tsv or .parquet")
    if out.suffix.lower() in PICTURE_ENDINGS:
        if frame.shape[1] != 2:
            raise UsageError(
                f"{out}: a picture is made of points in the plane, these rows have {frame.shape[1]} columns; choose "
                f"another ending, or pushforward plot {folder} pairs"
            )
        save(scatter_2d(frame.to_numpy(np.float64), [str(name) for name in frame.columns]), out)
    else:
        write_array(out, frame.to_numpy())
    return {"rows": count}


def _drawn(fitted: FittedTable, count: int, given: pd.DataFrame | None, seed: int | None) -> Any:
    """Rows a chunk at a time, each behind the number of those before it, from one stream of random numbers."""
    state = np.random.RandomState(seed)
    for start in range(0, count, _ROWS):
        yield start, fitted.sample(min(_ROWS, count - start), given, state)


def impute_table(fitted: FittedTable, source: str, out: Path, draw: bool, seed: int | None, advance: Any) -> int:
    """Write a table with its missing values filled in, its other columns as they are; return the number of rows.

    Raises:
        UsageError: the model is one of some columns given the others, which must all be there.
        DataError: the table cannot be read.
    """
    if fitted.run.targets:
        raise UsageError("impute takes models of all columns, and this one needs the columns that it depends on")
    state = np.random.RandomState(seed)
    columns, rows = list(fitted.columns), 0
    table = opened(source)
    table.choose(columns)
    with table_writer(out) as write:
        for frame in table.chunks(_ROWS, fitted.texts):
            filled = fitted.estimator.impute(frame[columns], method="draw" if draw else "mean", random_state=state)
            write(filled.reindex(columns=frame.columns).fillna(frame) if len(frame.columns) > len(columns) else filled)
            rows += len(frame)
            advance(rows)
    return rows
