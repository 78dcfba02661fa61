"""Using a fitted table on the command line: evaluate, sample, impute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pushforward.cli.plot_subjects import whole_rows
from pushforward.cli.run_data import check_there
from pushforward.cli.scoring import opened
from pushforward.cli.table_runs import FittedTable, open_table_run, parse_given, split_rows
from pushforward.cli.terminal import print_json, print_table, progress, say
from pushforward.data.export import is_written_as_array, table_writer, write_array
from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.plots import save, scatter_2d
from pushforward.plots.pictures import PICTURE_ENDINGS
from pushforward.sklearn import FlowDensity

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
        points = whole_rows("samples", frame.to_numpy(np.float64, na_value=np.nan), partial(say, quiet=silent))
        save(scatter_2d(points, [str(name) for name in frame.columns]), out)
    else:
        write_array(out, frame.to_numpy())
    return {"rows": count}


def _drawn(
    fitted: FittedTable, count: int, given: pd.DataFrame | None, seed: int | None
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Rows a chunk at a time, each behind the number of those before it, from one stream of random numbers."""
    state = np.random.RandomState(seed)
    for start in range(0, count, _ROWS):
        yield start, fitted.sample(min(_ROWS, count - start), given, state)


def impute_table(
    folder: Path,
    source: str,
    out: Path,
    method: Literal["draw", "fill"],
    seed: int | None,
    advance: Callable[[int], None],
) -> dict[str, int]:
    """Write a table with its missing values filled in and all else as it is; return what there is to say.

    Raises:
        UsageError: the model is one of some columns given the others, which must all be there.
        DataError: the table cannot be read, or misses a column.
    """
    fitted = open_table_run(folder)
    if not isinstance(fitted.estimator, FlowDensity):
        raise UsageError("impute takes models of all columns together, and this one is of some given the others")
    table = opened(source)
    table.choose(fitted.columns)
    state, columns, rows, missing = np.random.RandomState(seed), list(fitted.columns), 0, 0
    with table_writer(out) as write:
        for frame in table.chunks(_ROWS, fitted.texts):
            filled = fitted.estimator.impute(frame[columns], method, state)
            write(frame.assign(**{str(name): filled[name].to_numpy() for name in columns}))
            rows, missing = rows + len(frame), missing + int(frame[columns].isna().to_numpy().sum())
            advance(rows)
    return {"rows": rows, "values_filled": missing}
