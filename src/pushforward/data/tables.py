"""Tables of numbers, csv (plain or gzipped) and parquet: whole for training, in chunks for scoring."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Dataset, split
from pushforward.data.sources import require_file
from pushforward.errors import DataError
from pushforward.extras import requires

if TYPE_CHECKING:
    import pandas as pd


def load_table(path: str | os.PathLike[str]) -> Dataset:
    """A table of numbers as continuous rows ``(N, D)`` with the columns' names, split 80/10/10.

    Raises:
        DataError: missing or unreadable file, a column that is no number, missing values.
    """
    file = require_file(path)
    chunks = list(iterate_table(file))
    names = tuple(str(name) for name in chunks[0].columns)
    return split(file.name, np.concatenate([numeric(file, chunk) for chunk in chunks]), columns=names)


def iterate_table(
    path: str | os.PathLike[str], rows: int = 65536, columns: tuple[str, ...] = ()
) -> Iterator[pd.DataFrame]:
    """Yield a table's rows as data frames of at most ``rows``, holding one of them in memory at a time.

    Of a parquet file only ``columns`` are read, if they are named and all there.

    Raises:
        DataError: missing, empty or unreadable file.
    """
    file = require_file(path)
    if not is_table(file):
        raise DataError(f"{file}: expected a .csv, .csv.gz or .parquet table")
    empty = True
    try:
        for chunk in _read_parquet(file, rows, columns) if file.suffix == ".parquet" else _read_csv(file, rows):
            if len(chunk):
                empty = False
                yield chunk
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: not a readable table ({str(error).splitlines()[0]})") from error
    if empty:
        raise DataError(f"{file}: the table has no rows")


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a table."""
    return str(path).endswith((".csv", ".csv.gz", ".parquet"))


def numeric(
    path: str | os.PathLike[str],
    frame: pd.DataFrame,
    columns: tuple[str, ...] | None = None,
    dtype: type[np.floating[Any]] = np.float32,
) -> NDArray[Any]:
    """The frame's values, in the order of ``columns`` where given, as numbers of ``dtype``.

    Raises:
        DataError: a column is missing or holds no numbers, or a value is missing or infinite.
    """
    with requires("data", purpose="a table"):
        from pandas.api.types import is_numeric_dtype

    names = [str(name) for name in frame.columns]
    if columns is not None:
        missing = [name for name in columns if name not in names]
        if missing:
            raise DataError(f"{path}: expected a column {missing[0]!r}, found {', '.join(names)}")
        frame = frame.set_axis(names, axis=1)[list(columns)]
    for name, kind in frame.dtypes.items():
        if not is_numeric_dtype(kind):
            raise DataError(f"{path}: column {name!r} holds no numbers; leave it out or encode it first")
    values = frame.to_numpy(dtype=dtype, na_value=np.nan, copy=True)
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{path}: column {frame.columns[column]!r} has a missing or infinite value "
            f"(row {frame.index[row]}); fill or remove it"
        )
    return values


def _read_csv(file: Path, rows: int) -> Iterator[pd.DataFrame]:
    with requires("data", purpose="a .csv table"):
        import pandas as pd

    # Many published tables have no header: a first line of numbers only is data.
    names = list(pd.read_csv(file, nrows=0).columns)
    if all(_is_number(name) for name in names):
        plain = [f"column_{index}" for index in range(len(names))]
        yield from pd.read_csv(file, chunksize=rows, header=None, names=plain)
    else:
        yield from pd.read_csv(file, chunksize=rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_parquet(file: Path, rows: int, columns: tuple[str, ...]) -> Iterator[pd.DataFrame]:
    with requires("data", purpose="a .parquet table"):
        import pandas  # noqa: F401  (the rows become its frames)
        import pyarrow.parquet as parquet

    with parquet.ParquetFile(file) as table:
        start = 0
        wanted = list(columns) if columns and set(columns) <= set(table.schema_arrow.names) else None
        for batch in table.iter_batches(batch_size=rows, columns=wanted):
            frame = batch.to_pandas()
            frame.index = range(start, start + len(frame))
            start += len(frame)
            yield frame
