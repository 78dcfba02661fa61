"""How a delimited file (csv and its kin) is written, told from its first lines: separators, names, an index column."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from pushforward.errors import DataError

#: Cells that say that a value is missing, besides those that pandas knows.
MISSING = ("?",)
_MISSING = {"", "na", "n/a", "nan", "null", "none", "<na>", *MISSING}
# Rather than commas, which also stand within numbers and texts.
_RARER_DELIMITERS = "\t;|"

Cells = Sequence[str]


@dataclass(frozen=True)
class Layout:
    """How a delimited file is written.

    Attributes:
        delimiter: what stands between cells.
        decimal: what stands before the fraction of a number.
        header: whether the first line holds the columns' names.
        names: of all columns, made up where the file has none.
        left_out: the names of columns that hold no data: an index, or what follows a delimiter at the end of lines.
        notes: what was found that a reader should be told.
    """

    delimiter: str
    decimal: str
    header: bool
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the columns that hold data."""
        return tuple(name for name in self.names if name not in self.left_out)


def examine(lines: Sequence[str], delimiter: str | None = None) -> Layout:
    """Tell from the first lines of a file how it is written.

    Separators: a tab, a semicolon or a bar where each line has as many of it, else a comma; numbers have a decimal
    comma where the separator is another and no number has a point. The first line is data where it holds nothing but
    numbers and gaps, or what its columns hold further down; it holds names where a word stands over numbers. A first
    column without a name is an index where it holds integers or texts.

    Raises:
        DataError: there are no lines, or the first line has names for fewer or more columns than there are.

    Example:
        >>> examine(["a;b", "1,5;x"])
        Layout(delimiter=';', decimal=',', header=True, names=('a', 'b'), left_out=(), notes=())
        >>> examine(["0.5,0.5", "1,2"]).header, examine([",a", "0,1.5", "1,2.5"]).left_out
        (False, ('column_0',))
    """
    delimiter = delimiter or _delimiter(lines)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter) if any(row)]
    if not rows:
        raise DataError("it holds no lines of text")
    decimal = _decimal(delimiter, rows)
    plain = [[cell.replace(",", ".") for cell in row] for row in rows] if decimal == "," else rows
    if not _is_header(plain[0], plain[1:]):
        width = max(map(len, rows))
        return Layout(delimiter, decimal, False, _unique([""] * width))
    return _with_names(delimiter, decimal, rows[0], plain[1:])


def _with_names(delimiter: str, decimal: str, first: Cells, rows: Sequence[Cells]) -> Layout:
    first, extra = _full_names(first, rows)
    names = _unique(first)
    notes = []
    if any(_is_number(name.replace(decimal, ".")) for name in first):
        notes.append(f"the first line ({', '.join(first[:4])}{', ...' * (len(first) > 4)}) is taken as columns' names")
    elif len(set(filter(None, first))) < len([*filter(None, first)]):
        notes.append(f"columns share a name, they are called {', '.join(names)}")
    if extra == "end":
        return Layout(delimiter, decimal, True, names, names[-1:], tuple(notes))
    if extra == "start" or (len(names) > 1 and first[0] in ("", "Unnamed: 0") and _is_index(rows)):
        notes.append(f"the first column has no name and is left out as an index ({_shown(rows)})")
        return Layout(delimiter, decimal, True, names, names[:1], tuple(notes))
    return Layout(delimiter, decimal, True, names, (), tuple(notes))


def _full_names(first: Cells, rows: Sequence[Cells]) -> tuple[Cells, str | None]:
    """A name for each column, and at which end one was missing."""
    width = max(map(len, rows), default=len(first))
    if len(first) == width and not first[-1] and rows and not any(row[-1] for row in rows):
        return first, "end"
    if len(first) == width or (len(first) < width and not all(len(row) == width for row in rows)):
        return first, None
    if len(first) == width - 1:
        labels = [row[0] for row in rows]
        if not any(row[-1] for row in rows):
            return [*first, ""], "end"
        if len(set(labels)) == len(labels) and _is_index(rows):
            return ["", *first], "start"
    raise DataError(
        f"the first line has {len(first)} names ({', '.join(first[:4])}{', ...' * (len(first) > 4)}) and the rows have "
        f"{width} values; name every column"
    )


def _delimiter(lines: Sequence[str]) -> str:
    for candidate in _RARER_DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=candidate) if any(row)]
        # A first line of names may lack the index.
        if counts and min(counts) > 1 and len(set(counts[1:])) <= 1:
            return candidate
    return ","


def _decimal(delimiter: str, rows: Sequence[Cells]) -> str:
    cells = [cell for row in rows for cell in row]
    points = any("." in cell and _is_number(cell) for cell in cells)
    commas = any("," in cell and _is_number(cell.replace(",", ".")) for cell in cells)
    return "," if delimiter != "," and commas and not points else "."


def _is_header(first: Cells, rows: Sequence[Cells]) -> bool:
    words = [index for index, cell in enumerate(first) if not _is_number(cell) and not is_missing(cell)]
    if not words or not rows:
        return bool(words)
    columns = [[row[index] for row in rows if index < len(row)] for index in range(len(first))]
    if any(_is_numeric(columns[index]) for index in words):
        return True
    if any(first[index] in columns[index] for index in words):
        return False
    numbers = [index for index, cell in enumerate(first) if _is_number(cell) and _is_numeric(columns[index])]
    return not any(_is_among(first[index], columns[index]) for index in numbers)


def _is_among(cell: str, column: Cells) -> bool:
    """Whether a number could be one of the column: a fraction, or no further off than the column is wide."""
    values = [float(other) for other in column if not is_missing(other)]
    spread = max(values) - min(values)
    return not float(cell).is_integer() or min(values) - spread <= float(cell) <= max(values) + spread


def _is_index(rows: Sequence[Cells]) -> bool:
    """Whether the first cells are integers or texts, as labels of rows are."""
    labels = [row[0] for row in rows]
    whole = [label.lstrip("-").isdigit() for label in labels]
    return bool(labels) and (all(whole) or not any(map(_is_number, labels))) and not all(map(is_missing, labels))


def _is_numeric(column: Cells) -> bool:
    present = [cell for cell in column if not is_missing(cell)]
    return bool(present) and all(map(_is_number, present))


def _is_number(cell: str) -> bool:
    if "_" in cell or is_missing(cell):
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True


def is_missing(cell: str) -> bool:
    """Whether a cell says that a value is missing.

    Example:
        >>> [is_missing(cell) for cell in ("NA", "?", "", "0")]
        [True, True, True, False]
    """
    return cell.lower() in _MISSING


def _shown(rows: Sequence[Cells]) -> str:
    return ", ".join(row[0] for row in rows[:3]) + ", ..." * (len(rows) > 3)


def _unique(names: Cells) -> tuple[str, ...]:
    """The names, made up for those that are empty, numbered where they repeat."""
    unique: dict[str, None] = {}
    for index, name in enumerate(names):
        chosen, number = name or f"column_{index}", 0
        while chosen in unique:
            number += 1
            chosen = f"{name or f'column_{index}'}.{number}"
        unique[chosen] = None
    return tuple(unique)
