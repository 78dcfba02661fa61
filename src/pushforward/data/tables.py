"""Tables of numbers, as tensors and arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Dataset, split
from pushforward.data.table_files import ROWS, open_table
from pushforward.errors import DataError
from pushforward.extras import requires

if TYPE_CHECKING:
    import pandas as pd


def load_table(
    path: str | os.PathLike[str], columns: Sequence[str] = (), drop: Sequence[str] = (), levels: int | None = None
) -> Dataset:
    """A table of numbers as rows ``(N, D)`` in double precision with the columns' names, split 80/10/10.

    A table of whole numbers from 0 on is discrete data, of as many levels as told, else its maximum + 1.

    Args:
        path: ``.csv`` or ``.tsv``, also compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``, ``.zip``), or ``.parquet``.
        columns: those that are taken, all by default.
        drop: those that are not.
        levels: how many values an element may take, where the table does not say.

    Raises:
        DataError: missing or unreadable file, a column that is no number, missing values.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/t.csv", "w") as file:
        ...         _ = file.write("km,price\\n" + "1.5,2.5\\n" * 20)
        ...     data = load_table(f"{folder}/t.csv")
        >>> data.columns, data.train.dtype
        (('km', 'price'), torch.float64)
    """
    table = open_table(path).choose(columns, drop)
    frame = table.read()
    values = numeric(table.path, frame, dtype=np.float64)
    whole = all(kind.kind in "iub" for kind in frame.dtypes) and values.min() >= 0
    levels = int(values.max()) + 1 if levels is None and whole else levels
    return split(table.path.name, values, levels, columns=table.names, notes=table.notes)


def iterate_table(
    path: str | os.PathLike[str], rows: int = ROWS, columns: Sequence[str] = ()
) -> Iterator[pd.DataFrame]:
    """Yield a table's rows as data frames of at most ``rows``, holding one of them in memory at a time.

    Only ``columns`` are read, if they are named.

    Raises:
        DataError: missing, empty or unreadable file, or one without a column.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/t.csv", "w") as file:
        ...         _ = file.write("km\\n1\\n2\\n3\\n")
        ...     [len(part) for part in iterate_table(f"{folder}/t.csv", rows=2)]
        [2, 1]
    """
    yield from open_table(path).choose(columns).chunks(rows)


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
    values = numbers(path, frame, columns, dtype)
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise DataError(
            f"{path}: column {(columns or frame.columns)[place]!r} has a missing or infinite value "
            f"(row {frame.index[row]}); fill or remove it"
        )
    return values


def numbers(
    path: str | os.PathLike[str],
    frame: pd.DataFrame,
    columns: tuple[str, ...] | None = None,
    dtype: type[np.floating[Any]] = np.float32,
) -> NDArray[Any]:
    """What `numeric` gives, with NaN where a value is missing.

    Raises:
        DataError: a column is missing or holds no numbers.
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
            raise DataError(
                f"{path}: column {name!r} holds no numbers; leave it out, or use the estimators for tables "
                f"(pushforward train table, pushforward.sklearn), which take any column"
            )
    return frame.to_numpy(dtype=dtype, na_value=np.nan, copy=True)
