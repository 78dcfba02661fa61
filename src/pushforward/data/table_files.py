"""Tables in files, delimited text or parquet: the names of their columns, their rows whole or a chunk at a time."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from pushforward.data.compression import DAMAGE, open_plain, plain_suffix
from pushforward.data.delimited import MISSING, Layout, examine
from pushforward.data.numpy_files import read_array
from pushforward.data.sources import require_file
from pushforward.errors import DataError, UsageError
from pushforward.extras import requires

if TYPE_CHECKING:
    import pandas as pd

#: The endings of tables; those of text may have that of a compression behind.
DELIMITED = {".csv": None, ".tsv": "\t", ".tab": "\t"}
PARQUET = ".parquet"
ROWS = 65536
_LINES_EXAMINED = 200
_MOST_CHARACTERS = 2**20


class Format(Protocol):
    """How the rows of one kind of file are read."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that hold data."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should be told."""

    def chunks(self, names: Sequence[str], rows: int | None, texts: Collection[str]) -> Iterator[pd.DataFrame]:
        """The rows of some columns as frames of at most so many; those in ``texts`` are not read as numbers."""


@dataclass(frozen=True)
class TableFile:
    """A table in a file, or the chosen columns of it.

    Attributes:
        path: the file.
        format: how it is read.
        names: the columns that are read.

    Raises:
        DataError: by ``choose``, for a column that there is not; by ``read`` and ``chunks``, if the file is damaged or
            has no rows.
        UsageError: by ``choose``, if every column is dropped.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "people.csv"
        >>> _ = path.write_text("height,weight\\n1.7,60\\n1.8,75\\n")
        >>> table = open_table(path)
        >>> table.names, table.choose(drop=["height"]).read()["weight"].tolist()
        (('height', 'weight'), [60, 75])
    """

    path: Path
    format: Format
    names: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found in the file that a reader should be told, such as an index that is left out."""
        return self.format.notes

    def choose(self, columns: Sequence[str] = (), drop: Sequence[str] = ()) -> TableFile:
        """The table with ``columns`` alone, in their order, or without those in ``drop``.

        Raises:
            DataError: there is no column of a name.
            UsageError: nothing is left.
        """
        missing = [name for name in (*columns, *drop) if name not in self.names]
        if missing:
            raise DataError(f"{self.path}: expected a column {missing[0]!r}, found {', '.join(self.names)}")
        names = tuple(name for name in dict.fromkeys(columns or self.names) if name not in drop)
        if not names:
            raise UsageError(f"{self.path}: every column is dropped, and nothing is left")
        return replace(self, names=names)

    def read(self, texts: Collection[str] = ()) -> pd.DataFrame:
        """The whole table as one frame.

        Raises:
            DataError: it cannot be read, or has no rows.
        """
        return next(self.chunks(None, texts))

    def chunks(self, rows: int | None = ROWS, texts: Collection[str] = ()) -> Iterator[pd.DataFrame]:
        """The rows as frames of at most ``rows``, one of them in memory at a time; all in one for None.

        Each column gets the type that suits the values of its chunk: numbers in double precision, dates where all
        values are written as ISO 8601 has them, text as it is in ``texts``.

        Raises:
            DataError: it cannot be read, or has no rows.
        """
        empty = True
        for frame in _readable(self.path, self.format.chunks(self.names, rows, texts)):
            if len(frame):
                empty = False
                yield _with_dates(frame[list(self.names)], texts)
        if empty:
            raise DataError(f"{self.path}: the table has no rows")


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a table.

    Raises:
        TypeError: if this is no path.

    Example:
        >>> is_table("a.csv"), is_table("A.TSV.gz"), is_table("a.parquet"), is_table("a.npz")
        (True, True, True, False)
    """
    return plain_suffix(path) in DELIMITED or Path(path).suffix.lower() == PARQUET


def open_array(path: str | os.PathLike[str], names: Sequence[str] = ()) -> TableFile:
    """An array ``(N, D)`` of ``.npy`` or ``.npz`` (``FILE.npz:NAME``) as a table, with ``column_0`` and on for names.

    Raises:
        DataError: the file is missing or damaged, or holds something else.
    """
    x = read_array(path)
    if x.ndim != 2 or x.dtype.kind not in "iufb":
        raise DataError(f"{path}: expected rows of numbers (N, D), got shape {x.shape} of {x.dtype}")
    columns = tuple(names) or tuple(f"column_{index}" for index in range(x.shape[1]))
    if len(columns) != x.shape[1]:
        raise DataError(f"{path}: expected rows of {len(columns)} numbers ({', '.join(columns)}), got shape {x.shape}")
    return TableFile(Path(path), _Array(x, columns), columns)


def open_table(path: str | os.PathLike[str]) -> TableFile:
    """Find how a table is written and what its columns are called; rows are read later.

    Raises:
        DataError: the file is missing, no table, empty or unreadable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/t.csv", "w") as file:
        ...         _ = file.write("km;city\\n1;Bergen\\n2;Oslo\\n")
        ...     open_table(f"{folder}/t.csv").names
        ('km', 'city')
    """
    file = require_file(path)
    if not is_table(file):
        raise DataError(f"{file}: expected a table: .csv, .tsv (also compressed: .gz, .bz2, .xz, .zst, .zip), .parquet")
    parquet = file.suffix.lower() == PARQUET
    format = next(_readable(file, _one(_Parquet.of if parquet else _Delimited.of, file)))
    return TableFile(file, format, format.names)


def _one(make: Any, file: Path) -> Iterator[Any]:
    yield make(file)


def _readable(file: Path, items: Iterator[Any]) -> Iterator[Any]:
    """The items, with whatever is wrong with the file said in one sentence."""
    try:
        yield from items
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from error
    except UnicodeError as error:
        raise DataError(f"{file}: expected text in UTF-8 ({error}); save it so, for instance with iconv") from error
    except (ValueError, *DAMAGE) as error:
        raise DataError(f"{file}: not a readable table ({(str(error).splitlines() or ['damaged'])[0]})") from error


@dataclass(frozen=True)
class _Delimited:
    """Delimited text."""

    path: Path
    layout: Layout
    encoding: str

    @classmethod
    def of(cls, path: Path) -> _Delimited:
        with requires("data", purpose=f"a {plain_suffix(path)} table"):
            import pandas  # noqa: F401  (which reads the rows)

        with open_plain(path) as file:
            start = file.read(2)
        encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with open_plain(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
            # A file that is no text may have no lines at all.
            lines = list(islice(iter(lambda: text.readline(_MOST_CHARACTERS), ""), _LINES_EXAMINED))
        return cls(path, examine(lines, DELIMITED[plain_suffix(path)]), encoding)

    @property
    def names(self) -> tuple[str, ...]:
        return self.layout.kept

    @property
    def notes(self) -> tuple[str, ...]:
        return self.layout.notes

    def chunks(self, names: Sequence[str], rows: int | None, texts: Collection[str]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        with open_plain(self.path) as file, io.TextIOWrapper(file, self.encoding, newline="") as text:
            frames = pd.read_csv(
                text,
                sep=self.layout.delimiter,
                decimal=self.layout.decimal,
                header=0 if self.layout.header else None,
                names=list(self.layout.names),
                usecols=list(names),
                index_col=False,
                dtype=dict.fromkeys(texts, str),
                na_values=list(MISSING),
                skipinitialspace=True,
                low_memory=False,
                chunksize=rows,
            )
            yield from [frames] if rows is None else frames


@dataclass(frozen=True)
class _Parquet:
    """A parquet file."""

    path: Path
    names: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> _Parquet:
        with requires("data", purpose="a .parquet table"):
            import pandas  # noqa: F401  (the rows become its frames)
            import pyarrow.parquet as parquet

        schema = parquet.read_schema(path)
        stored = (schema.pandas_metadata or {}).get("index_columns", [])
        index = [name for name in stored if name in schema.names]
        notes = [f"the index {name!r} is left out" for name in index if not name.startswith("__index_level_")]
        names = tuple(name for name in schema.names if name not in index)
        return cls(path, names, tuple(notes))

    def chunks(self, names: Sequence[str], rows: int | None, texts: Collection[str]) -> Iterator[pd.DataFrame]:
        import pyarrow.parquet as parquet

        with parquet.ParquetFile(self.path) as table:
            if rows is None:
                yield table.read(columns=list(names)).to_pandas().reset_index(drop=True)
                return
            start = 0
            for batch in table.iter_batches(batch_size=rows, columns=list(names)):
                frame = batch.to_pandas()
                frame.index = range(start, start + len(frame))
                start += len(frame)
                yield frame


@dataclass(frozen=True)
class _Array:
    """An array in memory."""

    values: NDArray[Any]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def chunks(self, names: Sequence[str], rows: int | None, texts: Collection[str]) -> Iterator[pd.DataFrame]:
        with requires("data", purpose="a table"):
            import pandas as pd

        places = [self.names.index(name) for name in names]
        step = rows or max(1, len(self.values))
        for start in range(0, len(self.values), step):
            part = self.values[start : start + step, places]
            yield pd.DataFrame(part, columns=list(names), index=range(start, start + len(part)))


def _with_dates(frame: pd.DataFrame, texts: Collection[str]) -> pd.DataFrame:
    """The frame with texts that are all dates as dates."""
    import pandas as pd
    from pandas.api.types import is_object_dtype, is_string_dtype

    dates = {}
    for name, values in frame.items():
        if str(name) in texts or not (is_string_dtype(values.dtype) or is_object_dtype(values.dtype)):
            continue
        present = values.dropna()
        if not len(present) or not present.iloc[:50].astype(str).str.match(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)").all():
            continue
        try:
            dates[name] = pd.to_datetime(values, format="ISO8601")
        except ValueError:
            continue
    return frame.assign(**dates) if dates else frame
