"""What one task reads and writes: whole row groups of one file into one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from pushforward.data.row_groups import parquet_file, reading
from pushforward.data.storage import ENDING, filesystem, opened
from pushforward.errors import DataError, PushforwardError

ROWS_IN_PARTITION = 2**20
"""A file of more rows is cut at its row groups; pyarrow writes groups of so many by default."""
ROWS_IN_BATCH = 2**16
_READERS = 16


@dataclass(frozen=True)
class Partition:
    """The rows of one task.

    Attributes:
        name: of the file that it writes, below the folder of all.
        rows: how many there are.
        origin: what tells its content from any other's: of a file, its version and the row groups.
        source: the address of the file that is read, empty where rows are drawn.
        groups: which row groups of it.
    """

    name: str
    rows: int
    origin: str
    source: str = ""
    groups: tuple[int, ...] = ()

    def batches(self, columns: Sequence[str] | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Its rows in batches, each with the number of the row group, one without rows where there are none.

        Raises:
            DataError: the file cannot be read, naming the row group.
        """
        with opened(self.source) as file:
            with reading(self.source):
                table = parquet_file(file)
            schema = table.schema_arrow
            names = list(schema.names if columns is None else columns)
            lacking = [name for name in names if name not in schema.names]
            if lacking:
                raise DataError(f"{self.source}: expected a column {lacking[0]!r}, found {', '.join(schema.names)}")
            if not self.rows:
                yield 0, pa.RecordBatch.from_pylist([], schema=pa.schema([schema.field(name) for name in names]))
            for group in self.groups:
                with reading(f"{self.source}, row group {group}"):
                    for batch in table.iter_batches(ROWS_IN_BATCH, row_groups=[group], columns=names):
                        yield group, batch


def plan_partitions(files: dict[str, str], limit: int = ROWS_IN_PARTITION) -> tuple[list[Partition], list[str]]:
    """The partitions of files ``{name: address}``, and what is wrong with those that cannot be read.

    A file of at most ``limit`` rows is one partition of its own name; a larger one is cut at row groups into several,
    ``name-00000-of-00004.parquet``.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        planned = list(pool.map(lambda name: _plan_file(name, files[name], limit), files))
    partitions = [partition for file in planned if not isinstance(file, str) for partition in file]
    return partitions, [failure for failure in planned if isinstance(failure, str)]


def _plan_file(name: str, address: str, limit: int) -> list[Partition] | str:
    """The partitions of a file, or what is wrong with it."""
    try:
        fs, path = filesystem(address)
        with opened(address) as file, reading(address):
            metadata = parquet_file(file).metadata
            rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        version = fs.ukey(path)
    except (PushforwardError, OSError) as error:
        return str(error)
    pieces = cut(rows, limit)
    names = part_names(name.removesuffix(ENDING), len(pieces))
    return [
        Partition(piece_name, sum(rows[group] for group in groups), f"{version}:{groups}", address, groups)
        for piece_name, groups in zip(names, pieces)
    ]


def cut(rows: Sequence[int], limit: int) -> list[tuple[int, ...]]:
    """Consecutive row groups together as long as they have no more than ``limit`` rows.

    Example:
        >>> cut([3, 3, 9, 1, 1], limit=6), cut([], limit=6)
        ([(0, 1), (2,), (3, 4)], [()])
    """
    pieces: list[tuple[int, ...]] = []
    piece: tuple[int, ...] = ()
    for group, count in enumerate(rows):
        if piece and sum(rows[each] for each in piece) + count > limit:
            pieces.append(piece)
            piece = ()
        piece = (*piece, group)
    return [*pieces, piece]


def part_names(stem: str, count: int) -> list[str]:
    """The names of the files that one file becomes.

    Example:
        >>> part_names("a", 1), part_names("a", 2)
        (['a.parquet'], ['a-00000-of-00002.parquet', 'a-00001-of-00002.parquet'])
    """
    if count == 1:
        return [stem + ENDING]
    return [f"{stem}-{index:05}-of-{count:05}{ENDING}" for index in range(count)]
