"""The row groups of parquet files: what is read of a table at a time, and how much that is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pushforward.data.storage import opened, parquet_files
from pushforward.errors import DataError, first_line
from pushforward.extras import requires

if TYPE_CHECKING:
    import pandas as pd

_READERS = 16


@dataclass(frozen=True)
class RowGroup:
    """One row group of one file.

    Attributes:
        address: of the file.
        index: of the row group in it.
        rows: how many it holds.
        start: the number of its first row among those of all the files.
        columns: all that the file has.
    """

    address: str
    index: int
    rows: int
    start: int
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.address}, row group {self.index}"

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Its rows, numbered among those of all the files.

        Raises:
            DataError: a column is missing, or the file cannot be read.
        """
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DataError(f"{self}: expected a column {missing[0]!r}, found {', '.join(self.columns)}")
        with opened(self.address) as file, reading(str(self)):
            frame = parquet_file(file).read_row_group(self.index, list(columns)).to_pandas()
        frame.index = range(self.start, self.start + len(frame))
        return frame


def row_groups(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[RowGroup]:
    """The row groups that hold rows, of the parquet files of a folder, a glob, an address, or several of these.

    Raises:
        DataError: there are no such files, one of them cannot be read, or none holds a row.
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    addresses = [address for each in sources for address in parquet_files(each).values()]
    with ThreadPoolExecutor(_READERS) as pool:
        groups = [group for file in pool.map(_groups_of, addresses) for group in file]
    if not groups:
        raise DataError(f"{source}: the tables have no rows")
    starts = accumulate((group.rows for group in groups), initial=0)
    return [replace(group, start=start) for group, start in zip(groups, starts)]


def _groups_of(address: str) -> list[RowGroup]:
    with opened(address) as file, reading(address):
        table = parquet_file(file)
        names, metadata = tuple(table.schema_arrow.names), table.metadata
        counts = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    return [RowGroup(address, index, count, 0, names) for index, count in enumerate(counts) if count]


def parquet_file(file: Any) -> Any:
    """The parquet table in an open file."""
    with requires("data", purpose="a .parquet table"):
        import pandas  # noqa: F401  (the rows become its frames)
        import pyarrow.parquet as parquet

    return parquet.ParquetFile(file)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever cannot be read inside is told of ``name``.

    Raises:
        DataError: something could not.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        # Arrow's errors are of these kinds.
        raise DataError(f"{name}: no readable parquet table ({first_line(error)})") from error
