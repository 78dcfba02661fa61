"""Writing events and tables to files that other programs read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.files import atomic_path, choose_writer

if TYPE_CHECKING:
    import pandas as pd

ARRAY_ENDINGS = (".npz", ".npy")
TABLE_ENDINGS = (".csv", ".tsv", ".parquet")
#: What stands for standard output in place of a file's name; what is written there is csv.
STANDARD_OUTPUT = "-"


class TableWriter(Protocol):
    """Takes the rows of a table, a frame at a time."""

    def __call__(self, frame: pd.DataFrame) -> None: ...


def write_events(
    path: str | os.PathLike[str], x: Tensor, levels: int | None = None, columns: tuple[str, ...] = ()
) -> None:
    """Write events ``(N, ...)`` as ``.npz`` (under ``data``), ``.npy``, or a table, by the name's ending.

    Discrete events (``levels``) are written as integers; tables (``.csv``, ``.tsv``, ``.parquet``, csv on standard
    output for ``-``) take vectors alone.

    Raises:
        UsageError: another ending, or a table of what is no vector.
        FileError: the file cannot be written.
    """
    values = x.detach().cpu().numpy()
    if levels is not None:
        values = values.round().astype(_integer_type(levels))
    if is_written_as_array(path):
        write_array(path, values)
        return
    if values.ndim != 2:
        raise UsageError(f"{path}: a table takes vectors, these events are {values.shape[1:]}; choose .npz or .npy")
    with table_writer(path) as write:
        import pandas as pd

        names = columns or tuple(f"column_{index}" for index in range(values.shape[1]))
        write(pd.DataFrame(values, columns=list(names)))


def is_written_as_array(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is one of NumPy's; if not, it is a table's.

    Raises:
        UsageError: it is neither's.
    """
    if str(path) == STANDARD_OUTPUT:
        return False
    return choose_writer(path, (*ARRAY_ENDINGS, *TABLE_ENDINGS)) in ARRAY_ENDINGS


def write_array(path: str | os.PathLike[str], values: np.ndarray[Any, Any]) -> None:
    """Write an array as ``.npz`` (under ``data``) or ``.npy``.

    Raises:
        FileError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        if temporary.suffix.lower() == ".npz":
            np.savez_compressed(temporary, data=values)
        else:
            np.save(temporary, values)


@contextmanager
def table_writer(path: str | os.PathLike[str], float_format: str | None = None) -> Iterator[TableWriter]:
    """Yield what writes frames of the same columns, one after the other, into one table.

    The table is there when the block ends without an error, whole or not at all; rows on standard output (``-``) are
    there at once.

    Args:
        path: ``.csv``, ``.tsv``, ``.parquet``, or ``-``.
        float_format: of numbers in text; by default all digits that make a difference.

    Raises:
        UsageError: another ending.
        FileError: the file cannot be written.
    """
    text = str(path) == STANDARD_OUTPUT or choose_writer(path, TABLE_ENDINGS) != ".parquet"
    with requires("data", purpose=f"a {'.csv' if text else '.parquet'} table"):
        import pandas  # noqa: F401  (the rows are its frames)

        if not text:
            import pyarrow  # noqa: F401  (which writes them)
    if str(path) == STANDARD_OUTPUT:
        yield _text_writer(sys.stdout, ",", float_format)
    elif text:
        delimiter = "," if choose_writer(path, TABLE_ENDINGS) == ".csv" else "\t"
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            yield _text_writer(file, delimiter, float_format)
    else:
        with atomic_path(path) as temporary, _parquet_writer(temporary) as write:
            yield write


def _text_writer(file: Any, delimiter: str, float_format: str | None) -> TableWriter:
    header = True

    def write(frame: pd.DataFrame) -> None:
        nonlocal header
        frame.to_csv(file, sep=delimiter, header=header, index=False, float_format=float_format, lineterminator="\n")
        header = False

    return write


@contextmanager
def _parquet_writer(path: os.PathLike[str]) -> Iterator[TableWriter]:
    import pyarrow as pa
    from pyarrow import parquet

    opened: list[parquet.ParquetWriter] = []

    def write(frame: pd.DataFrame) -> None:
        table = pa.Table.from_pandas(frame, schema=opened[0].schema if opened else None, preserve_index=False)
        if not opened:
            opened.append(parquet.ParquetWriter(path, table.schema))
        opened[0].write_table(table)

    try:
        yield write
    finally:
        for writer in opened:
            writer.close()


def _integer_type(levels: int) -> type[np.generic]:
    return np.uint8 if levels <= 256 else np.uint16 if levels <= 65536 else np.int64
